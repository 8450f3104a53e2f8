// On every page. For readers who come by keyboard or hear the page: what scrolls sideways can be reached, and names say
// what is seen. For readers in the dark: plotly's figures follow.
(() => {
  const boxes = ".bbatch-table-box, .bd-article table, .bd-article div.math, .cell_output > .output, .bd-article pre";
  const reach = () => {
    for (const box of document.querySelectorAll(boxes)) {
      const scrolls = box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).overflowX !== "visible";
      if (scrolls) box.tabIndex = 0;
      else if (box.tabIndex === 0 && !box.hasAttribute("role")) box.removeAttribute("tabindex");
    }
  };
  // The theme names some of its controls otherwise than it labels them.
  for (const summary of document.querySelectorAll('summary[aria-label="Toggle hidden content"]')) summary.removeAttribute("aria-label");
  for (const button of document.querySelectorAll(".search-button-field")) button.removeAttribute("aria-label");
  for (const button of document.querySelectorAll(".theme-switch-button")) {
    button.setAttribute("aria-label", "Color mode: Light, Dark or System Settings");
    for (const icon of button.querySelectorAll("[title]")) icon.setAttribute("aria-hidden", "true");
  }
  // Entries of the references are no list items, whatever their frame says.
  for (const list of document.querySelectorAll('.citation-list[role="list"]')) list.removeAttribute("role");
  // Surfaces stand side by side where there is room for it, else one below the other.
  const place = (graph) => {
    const scenes = Object.keys(graph.layout || {}).filter((key) => /^scene\d*$/.test(key)), n = scenes.length;
    const narrow = graph.clientWidth < 560;
    if (n < 2 || graph.dataset.narrow === String(narrow)) return;
    graph.dataset.narrow = narrow;
    const titles = graph.layout.annotations.map(({x, y}) => ({x, y}));
    graph.beside ??= {height: graph.clientHeight, titles, domains: scenes.map((scene) => graph.layout[scene].domain)};
    const {height, titles: above, domains} = graph.beside, update = {height: narrow ? n * 0.75 * height : height};
    scenes.forEach((scene, k) => {
      const bottom = 1 - (k + 1) / n, top = bottom + 1 / n - 0.05 * (k > 0);
      update[`${scene}.domain`] = narrow ? {x: [0, 1], y: [bottom, top]} : domains[k];
      update[`annotations[${k}].x`] = narrow ? 0.5 : above[k].x;
      update[`annotations[${k}].y`] = narrow ? top : above[k].y;
    });
    // Its frame has a height of its own, from plotly.
    graph.style.height = graph.parentElement.style.height = `${update.height}px`;
    window.Plotly.relayout(graph, update);
  };
  const graphs = () => document.querySelectorAll(".js-plotly-plot");  // those that are drawn
  window.addEventListener("resize", () => graphs().forEach(place));
  // plotly's figures take the page's colours, and follow the button that changes them.
  const dress = (graph) => {
    const {color: ink, fontFamily: font} = getComputedStyle(document.body), none = "rgba(0,0,0,0)";
    window.Plotly.relayout(graph, {"font.color": ink, "font.family": font, paper_bgcolor: none, plot_bgcolor: none});
  };
  document.addEventListener("bbatch-drawn", ({target}) => { place(target); dress(target); });
  new MutationObserver(() => graphs().forEach(dress)).observe(document.documentElement, {attributes: true, attributeFilter: ["data-theme"]});
  reach();
  new ResizeObserver(reach).observe(document.body);
})();
