// What can be checked of a page for who does not see it, or not well. Each function gives a list of what is wrong.
({
  // Each control and picture has a name, ids are unique and found, headings go down step by step.
  problems() {
    const problems = [];
    const all = (selector) => [...document.querySelectorAll(selector)];
    const named = (e) =>
      (e.getAttribute("aria-label") || e.textContent || e.getAttribute("alt") || "").trim() ||
      e.getAttribute("aria-labelledby") ||
      e.closest("label");
    for (const e of all("a, button, select, meter, summary, [role=img], [role=region], dialog")) {
      if (!named(e)) problems.push(`no name: ${e.outerHTML.slice(0, 80)}`);
    }
    for (const e of all("img:not([alt])")) problems.push(`no alt: ${e.outerHTML}`);
    const ids = all("[id]").map((e) => e.id);
    if (new Set(ids).size !== ids.length) problems.push("an id is there twice");
    for (const attribute of ["aria-labelledby", "aria-describedby"]) {
      for (const e of all(`[${attribute}]`)) {
        for (const id of e.getAttribute(attribute).split(" ")) {
          if (!document.getElementById(id)) problems.push(`${attribute}: there is no ${id}`);
        }
      }
    }
    let before = 0;
    for (const e of all("h1, h2, h3")) {
      const rank = Number(e.tagName[1]);
      if (rank > before + 1) problems.push(`${e.tagName} after H${before}`);
      before = rank;
    }
    for (const name of ["header", "main", "h1", "[aria-live=polite]", "[role=status]"]) {
      if (all(name).length !== 1) problems.push(`not one ${name}`);
    }
    if (!document.documentElement.lang) problems.push("no language");
    return problems;
  },

  // Text with a contrast of less than 4.5 to what is behind it (WCAG 2.2, 1.4.3).
  faint() {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = (colour) => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      return canvas.getImageData(0, 0, 1, 1).data;
    };
    const part = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    const behind = (e) => {
      for (let one = e; one; one = one.parentElement) {
        const colour = rgba(getComputedStyle(one).backgroundColor);
        if (colour[3] === 255) return colour;
      }
      return [255, 255, 255];
    };
    const faint = [];
    for (const e of document.querySelectorAll("p, dt, dd, b, span, a, h1, h2, h3, th, td, label, li, text, tspan")) {
      const text = [...e.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE).map((n) => n.data.trim()).join("");
      if (!text || !e.checkVisibility() || e.closest(".unseen, .percent")) continue;
      const style = getComputedStyle(e);
      const lights = [light(rgba(e instanceof SVGElement ? style.fill : style.color)), light(behind(e))];
      const contrast = (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05);
      if (contrast < 4.5) faint.push(`${contrast.toFixed(2)}: ${text.slice(0, 40)}`);
    }
    return faint;
  },
})
