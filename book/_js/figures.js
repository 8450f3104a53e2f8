// Adds to the figures of `bbatch/pages/picture.py`: values to hover, tap or walk through with the arrow keys, lines to toggle, a
// slider through batch sizes, and the way back to the cell and the records behind each. Without it every figure is whole.
(() => {
  const base = document.documentElement.dataset.content_root || "../";
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  const box = make("div", {class: "bbatch-tip", role: "status", hidden: ""});
  document.body.append(box);
  const hide = () => { box.hidden = true; document.querySelectorAll(".bbatch-dot").forEach((dot) => dot.remove()); };
  const show = (svg, [x, y, text]) => {
    hide();
    const to = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
    const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    for (const [name, value] of Object.entries({cx: x, cy: y, r: 7, class: "bbatch-dot"})) dot.setAttribute(name, value);
    svg.append(dot);
    box.textContent = text;
    box.hidden = false;
    const width = box.offsetWidth, room = document.documentElement.clientWidth;
    box.style.left = `${window.scrollX + Math.max(4, Math.min(to.x - width / 2, room - width - 4))}px`;
    box.style.top = `${window.scrollY + (to.y > box.offsetHeight + 20 ? to.y - box.offsetHeight - 14 : to.y + 14)}px`;
  };
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

  const hover = (svg, tips, follow, hidden = () => false) => {
    const nearest = (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const view = svg.viewBox.baseVal;
      let best = null, least = 28 ** 2;
      for (const tip of tips) {
        const inside = tip[0] >= view.x && tip[0] <= view.x + view.width && tip[1] >= view.y && tip[1] <= view.y + view.height;
        const far = (tip[0] - at.x) ** 2 + (tip[1] - at.y) ** 2;
        if (inside && far < least && !hidden(tip)) { least = far; best = tip; }
      }
      return best;
    };
    svg.addEventListener("pointermove", (event) => { const tip = nearest(event); tip ? show(svg, tip) : hide(); });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("click", (event) => { const tip = nearest(event); if (tip && event.pointerType !== "touch") follow(tip); });
  };

  // One stop of the Tab key a figure; the arrow keys go from value to value, Enter to the runs behind it.
  const walk = (svg, tips, follow) => {
    const order = [...tips].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    let at = -1;
    svg.setAttribute("tabindex", "0");
    svg.onkeydown = (event) => {
      const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
      if (event.key === "Enter" && at >= 0) follow(order[at]);
      if (!step || !order.length) return;
      event.preventDefault();
      at = (at + step + order.length) % order.length;
      show(svg, order[at]);
    };
    svg.onblur = hide;
  };
  window.bbatch = {make, hover, walk};

  for (const figure of document.querySelectorAll(".bbatch-figure:not([data-ready])")) {
    figure.dataset.ready = "";
    const {tips = [], series = {}} = JSON.parse(figure.querySelector("script").textContent);
    const whole = figure.querySelector(".bbatch-whole");
    const explorer = (address) => `${base}book/explorer.html#${address}`;
    const follow = (tip) => { if (tip[3]) location.href = explorer(tip[3]); };
    const off = new Set(), hidden = (tip) => [...off].some((name) => tip[2].startsWith(`${name},`));  // lines not shown
    if (tips.length) {
      for (const svg of figure.querySelectorAll("svg")) hover(svg, tips, follow, hidden);
      whole.setAttribute("aria-label", `${whole.getAttribute("aria-label")} Arrow keys read its ${tips.length} values.`);
      walk(whole, tips, follow);
    }

    const names = Object.keys(series);
    if (names.length > 1) {
      const group = make("div", {class: "bbatch-toggles", role: "group", "aria-label": "Lines shown"});
      const buttons = names.map((name) => {
        const button = make("button", {type: "button", "aria-pressed": "true"}, name);
        const drawn = series[name].map((id) => document.getElementById(id)).filter(Boolean);
        const line = drawn[0] && drawn[0].querySelector("path");
        if (line) button.style.setProperty("--bbatch-line", line.style.stroke);
        button.set = (on) => {
          button.setAttribute("aria-pressed", on);
          drawn.forEach((element) => { element.style.display = on ? "" : "none"; });
          off[on ? "delete" : "add"](name);
        };
        button.fade = (faint) => drawn.forEach((element) => { element.style.opacity = faint ? 0.1 : ""; });
        button.addEventListener("click", () => button.set(button.getAttribute("aria-pressed") !== "true"));
        return button;
      });
      const all = make("button", {type: "button"}, "all");
      all.addEventListener("click", () => {
        const some = off.size > 0;
        buttons.forEach((button) => button.set(some));
      });
      group.append(...buttons, all);
      if (names.length > 2 && names.every((name) => name.startsWith("B = "))) {
        const range = make("input", {type: "range", min: 0, max: names.length, value: 0}), at = make("output", {}, "all");
        range.addEventListener("input", () => {
          at.textContent = range.value > 0 ? names[range.value - 1] : "all";
          range.setAttribute("aria-valuetext", at.textContent);
          buttons.forEach((button, k) => button.fade(range.value > 0 && k !== range.value - 1));
        });
        group.append(make("label", {class: "bbatch-slider"}, "One at a time ", range, at));
      }
      figure.querySelector(".bbatch-drawing").after(group);
    }

    // How this was made: the cell above, and the runs.
    const cell = figure.closest(".cell"), code = cell && cell.querySelector("details");
    const links = make("span", {class: "bbatch-how"});
    if (code) {
      const open = make("button", {type: "button"}, "the cell that drew it");
      open.addEventListener("click", () => { code.open = true; code.querySelector("summary").focus(); code.scrollIntoView({block: "center"}); });
      links.append(open);
    }
    if (figure.dataset.runs) links.append(make("a", {href: explorer(figure.dataset.runs)}, "the runs behind it"));
    if (links.children.length) {
      links.prepend("How this was made: ");
      figure.append(links);
    }
  }
})();
