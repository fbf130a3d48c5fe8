// Draws the plots in the colours of the page, looks closer in all at once, shows a household's level, sorts tables,
// saves figures as images and the manifests as a file.
"use strict";
(() => {
  const { palette, figures } = JSON.parse(document.getElementById("data").textContent);
  const overTime = ["power", "level", "price", "trades"].filter((name) => document.getElementById(name));
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const whose = document.getElementById("whose");
  const backstop = document.getElementById("backstop");
  const config = { responsive: true, displaylogo: false, displayModeBar: false, doubleClick: "reset" };

  function coloured(figure, isDark) {
    let text = JSON.stringify(figure);
    if (isDark) for (const [light, night] of palette) text = text.replaceAll(JSON.stringify(light), JSON.stringify(night));
    return JSON.parse(text);
  }

  function draw(isDark) {
    for (const [name, figure] of Object.entries(figures)) {
      const place = document.getElementById(name.replace(/-all$/, ""));
      if (!place || (place.id === "flows" && name.endsWith("-all") !== backstop.checked)) continue;
      const { data, layout } = coloured(figure, isDark);
      // A finger that moves over a plot scrolls the page.
      if (matchMedia("(pointer: coarse)").matches) layout.dragmode = false;
      if (name === "level") show(data);
      // Links of the diagram that was there would fade away across the new one.
      (place.id === "flows" ? Plotly.newPlot : Plotly.react)(place, data, layout, config);
    }
  }

  // Curves come in pairs: level and capacity, first of all, then of each household.
  function show(data) {
    const chosen = whose ? Number(whose.value) : 0;
    data.forEach((curve, number) => { curve.visible = Math.floor(number / 2) === chosen; });
  }

  function linkZoom() {
    let following = false;
    for (const name of overTime) {
      const place = document.getElementById(name);
      place.on("plotly_relayout", (change) => {
        if (following || !Object.keys(change).some((key) => key.startsWith("xaxis."))) return;
        const { range, autorange } = place.layout.xaxis;
        following = true;
        Promise.all(overTime.filter((other) => other !== name).map((other) =>
          Plotly.relayout(other, autorange ? { "xaxis.autorange": true } : { "xaxis.range": [...range] })
        )).finally(() => { following = false; });
      });
    }
  }

  function sort(button) {
    const head = button.closest("th");
    const table = head.closest("table");
    const column = [...head.parentNode.children].indexOf(head);
    const order = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    const sign = order === "ascending" ? 1 : -1;
    const value = (row) => {
      const cell = row.children[column];
      return column === 0 ? cell.textContent : cell.dataset.order === undefined ? null : Number(cell.dataset.order);
    };
    const compare = (one, other) => {
      const [a, b] = [value(one), value(other)];
      if (a === null || b === null) return (a === null) - (b === null); // undefined stays below
      return sign * (column === 0 ? a.localeCompare(b, "en", { numeric: true }) : a - b);
    };
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort(compare));
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
  }

  // An image stands alone: it has the figure's title, its legend and a background.
  function save(button) {
    const { save: name, form } = button.dataset;
    const place = document.getElementById(name);
    const style = getComputedStyle(document.documentElement);
    const [title, unit] = [...document.getElementById(`${name}-title`).childNodes].map((part) => part.textContent.trim());
    const legend = name !== "flows"; // where each node has its name
    const above = legend ? 84 : 54;
    const layout = {
      ...place.layout,
      title: { text: `${title}, ${unit}`, x: 0.02, xanchor: "left", yref: "container", y: 0.97, yanchor: "top" },
      margin: { ...place.layout.margin, t: above },
      showlegend: legend,
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
      paper_bgcolor: style.getPropertyValue("--card").trim(),
    };
    const { width, height } = place.getBoundingClientRect();
    Plotly.downloadImage({ data: place.data, layout, config }, {
      format: form, filename: `${document.querySelector("h1").textContent}-${name}`, width: Math.max(640, width), height: height + above, scale: form === "png" ? 2 : 1,
    });
  }

  function saveManifests() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([document.getElementById("manifests").textContent], { type: "application/yaml" }));
    link.download = `${document.querySelector("h1").textContent}.yaml`;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  draw(dark.matches);
  linkZoom();
  dark.addEventListener("change", () => draw(dark.matches));
  addEventListener("beforeprint", () => draw(false));
  addEventListener("afterprint", () => draw(dark.matches));
  for (const choice of [whose, backstop]) {
    if (choice) choice.addEventListener("change", () => draw(dark.matches));
  }
  for (const button of document.querySelectorAll(".sortable thead button")) {
    button.addEventListener("click", () => sort(button));
  }
  for (const button of document.querySelectorAll("[data-save]")) button.addEventListener("click", () => save(button));
  document.querySelector(".save-manifest").addEventListener("click", saveManifests);
  document.documentElement.dataset.drawn = "yes";
})();
