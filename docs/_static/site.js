// For who uses the keyboard or a screen reader: what scrolls can be reached, and what opens the navigation has a name.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll(".pst-scrollable-table-container, .cell_output")) table.tabIndex = 0;
  for (const toggle of document.querySelectorAll("summary:has(.toctree-toggle)")) toggle.ariaLabel = "Pages below";
});
