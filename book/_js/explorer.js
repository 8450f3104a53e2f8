// The explorer (bbatch/pages/explorer.py): choose data sets, rules, a metric and an axis; see the curves, their intervals and
// the paper's points; pick a point to see the runs behind it. All numbers come from the JSON block of the page.
(() => {
  const root = document.getElementById("explorer");
  if (!root || !window.bbatch) return;
  const {make, hover, walk} = window.bbatch;
  const all = JSON.parse(root.querySelector("script").textContent);
  const SVG = "http://www.w3.org/2000/svg", DASH = {linear: "", sqrt: "7 4", constant: "1.5 4"};
  const draw = (tag, attributes, ...children) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const colour = (name) => `light-dark(${all.sets[name].color}, ${all.sets[name].dark})`;
  const digits = () => state.metric === "epoch_time_s" ? 3 : 2;
  const number = (value) => value === null ? "–" : value.toFixed(digits()).replace(/^-(?=[0.]*$)/, "").replace("-", "−");
  const half = ([mean, low, high]) => low === null ? "" : ` ± ${number((high - low) / 2)}`;

  // What is chosen: in the address, so that a view can be linked to; the first view where the address says nothing.
  const state = {};
  const read = () => {
    const asked = new URLSearchParams(location.hash.slice(1));
    const among = (key, known, first) => {
      const found = (asked.get(key) || "").split(",").filter((value) => known.includes(value));
      return found.length ? found : first;
    };
    state.data = among("data", Object.keys(all.sets), ["synthetic-1k", "synthetic-10k"]);
    state.rule = among("rule", all.rules, ["linear"]);
    state.metric = among("metric", Object.keys(all.metrics), ["test_acc"])[0];
    state.x = among("x", ["B", "lr"], ["B"])[0];
    state.B = Number(asked.get("B")) || null;
    const [data, rule] = [...(asked.get("of") || "").split(","), ""];  // whose runs are listed
    state.cell = all.cells.find((cell) => cell.data === data && cell.rule === rule && cell.B === state.B);
    state.paper = asked.get("paper") !== "no";
  };
  const write = () => {
    const parts = {data: state.data.join(","), rule: state.rule.join(","), metric: state.metric, x: state.x};
    if (state.B) parts.B = state.B;
    if (state.cell) parts.of = `${state.cell.data},${state.cell.rule}`;
    if (!state.paper) parts.paper = "no";
    history.replaceState(null, "", "#" + Object.entries(parts).map(([key, value]) => `${key}=${value}`).join("&"));
  };

  // Controls: a form of the browser's own elements.
  const form = make("form", {class: "bbatch-controls", "aria-label": "What to show"});
  const several = (key, legend, names) => {
    const group = make("fieldset", {}, make("legend", {}, legend));
    for (const [value, name] of names) {
      const input = make("input", {type: "checkbox", name: key, value});
      const label = make("label", {}, input, " ", name);
      if (key === "data") label.style.setProperty("--bbatch-line", colour(value));
      group.append(label);
    }
    form.append(group);
  };
  const single = (key, label, names) => {
    const select = make("select", {name: key}, ...names.map(([value, name]) => make("option", {value}, name)));
    form.append(make("label", {class: "bbatch-select"}, label, select));
  };
  several("data", "Data sets", Object.entries(all.sets).map(([name, set]) => [name, set.title]));
  several("rule", "Learning-rate rule", all.rules.map((rule) => [rule, {linear: "linear —", sqrt: "square root - -", constant: "constant ···"}[rule] || rule]));
  single("metric", "Metric", Object.entries(all.metrics));
  single("x", "Against", [["B", "batch size B"], ["lr", "learning rate"]]);
  form.append(make("label", {class: "bbatch-select"}, "The paper's points", make("select", {name: "paper"},
    make("option", {value: "yes"}, "shown"), make("option", {value: "no"}, "hidden"))));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    const data = new FormData(form);
    Object.assign(state, {data: data.getAll("data"), rule: data.getAll("rule"), metric: data.get("metric"), x: data.get("x"),
                          paper: data.get("paper") === "yes", B: null, cell: null});
    write();
    render();
  });
  const fill = () => {
    for (const input of form.elements) {
      if (input.type === "checkbox") input.checked = state[input.name].includes(input.value);
      else if (input.name === "paper") input.value = state.paper ? "yes" : "no";
      else if (input.name) input.value = state[input.name];
    }
  };

  const chart = make("div", {class: "bbatch-chart"}), said = make("p", {role: "status"});
  const table = make("div", {class: "bbatch-table-box", tabindex: "0", role: "region", "aria-label": "The values drawn"});
  const runs = make("section", {id: "explorer-runs", "aria-live": "polite"});
  root.append(form, chart, said, make("details", {}, make("summary", {}, "The same values as a table"), table), runs);

  const chosen = (list) => list.filter((one) => state.data.includes(one.data) && state.rule.includes(one.rule));
  const cells = () => chosen(all.cells).filter((cell) => cell.values[state.metric][0] !== null).sort((a, b) => a[state.x] - b[state.x]);
  const points = () => state.paper ? chosen(all.paper).filter((point) => state.metric in point.values).sort((a, b) => a[state.x] - b[state.x]) : [];

  const render = () => {
    const mine = cells(), theirs = points();
    said.textContent = mine.length + theirs.length
      ? `${mine.length} means of ours, with 95 % intervals over seeds (hollow: a single seed; the bar of its test accuracy is the test set's `
        + `sampling error), and ${theirs.length} points of the paper. Pick a mean to see its runs.`
      : "Nothing is recorded or printed for this choice.";
    picture(mine, theirs);
    values(mine, theirs);
    list();
  };

  const steps = (low, high) => {
    const rough = (high - low || Math.abs(high) || 1) / 8, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power, found = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high + step / 1e6; tick += step) found.push(Number(tick.toPrecision(12)));
    return found;
  };

  let circles = [];  // [element, cell], to mark the one whose runs are listed
  const mark = () => { for (const [circle, cell] of circles) circle.setAttribute("r", cell === listed() ? 7 : 4); };
  const picture = (mine, theirs) => {
    chart.replaceChildren();
    circles = [];
    if (!mine.length && !theirs.length) return;
    const width = Math.max(300, chart.clientWidth), height = Math.min(460, Math.max(320, width * 0.6));
    const left = 58, right = width - 14, top = 14, bottom = height - 50;
    const value = (cell) => cell.values[state.metric], log = state.metric === "epoch_time_s";
    // the interval of two seeds may reach beyond what an accuracy can be
    const possible = state.metric === "test_acc" ? (v) => Math.min(100, Math.max(0, v)) : (v) => v;
    const ys = [...mine.flatMap((cell) => value(cell).slice(0, 3)), ...theirs.map(value)].filter((v) => v !== null && (!log || v > 0)).map(possible);
    const xs = [...mine, ...theirs].map((one) => one[state.x]);
    const scale = (values, from, to, logarithmic, margin) => {
      const bend = logarithmic ? Math.log10 : (v) => v;
      let low = bend(Math.min(...values)), high = bend(Math.max(...values));
      const room = (high - low) * margin || 0.5;
      low -= room; high += room;
      return {at: (v) => from + (bend(v) - low) / (high - low) * (to - from), low, high};
    };
    const x = scale(xs, left, right, true, 0.04), y = scale(ys, bottom, top, log, 0.07);
    const svg = draw("svg", {viewBox: `0 0 ${width} ${height}`, width, height, role: "img"});
    const text = (content, more) => svg.append(draw("text", more, content));

    const yticks = log ? [-4, -3, -2, -1, 0, 1, 2, 3].map((p) => 10 ** p).filter((v) => Math.log10(v) >= y.low && Math.log10(v) <= y.high) : steps(y.low, y.high);
    for (const tick of yticks) {
      svg.append(draw("line", {x1: left, x2: right, y1: y.at(tick), y2: y.at(tick), class: "grid"}));
      text(String(tick).replace("-", "−"), {x: left - 7, y: y.at(tick) + 4, "text-anchor": "end"});
    }
    const xticks = state.x === "B" ? [...new Set(xs)] : [-6, -5, -4, -3, -2, -1, 0].map((p) => 10 ** p).filter((v) => Math.log10(v) >= x.low && Math.log10(v) <= x.high);
    let last = -Infinity;
    for (const tick of xticks.sort((a, b) => a - b)) {
      svg.append(draw("line", {x1: x.at(tick), x2: x.at(tick), y1: top, y2: bottom, class: "grid"}));
      if (x.at(tick) - last < 26) continue;
      last = x.at(tick);
      text(String(tick), {x: last, y: bottom + 18, "text-anchor": "middle"});
    }
    text(state.x === "B" ? "Batch size B (log scale)" : "Learning rate (log scale)", {x: (left + right) / 2, y: height - 8, "text-anchor": "middle"});
    text(all.metrics[state.metric] + (log ? " (log scale)" : ""), {x: 0, y: 0, "text-anchor": "middle", transform: `translate(14 ${(top + bottom) / 2}) rotate(-90)`});

    const tips = [], groups = new Map();
    const add = (one, kind) => {
      const key = [kind, one.data, one.rule, one.table || ""].join();
      groups.set(key, [...(groups.get(key) || []), one]);
    };
    theirs.forEach((point) => add(point, "paper"));
    mine.forEach((cell) => add(cell, "ours"));
    const path = (list, height) => list.map((one, k) => `${k ? "L" : "M"}${x.at(one[state.x])} ${y.at(height(one))}`).join("");
    for (const [key, list] of groups) {
      const stroke = `stroke: ${colour(list[0].data)}`, ours = key.startsWith("ours"), middle = (one) => ours ? value(one)[0] : value(one);
      svg.append(draw("path", {d: path(list, middle), class: ours ? "ours" : "paper", style: stroke, "stroke-dasharray": ours ? DASH[list[0].rule] : "2 3"}));
      for (const one of list) {
        const at = [x.at(one[state.x]), y.at(middle(one))], name = `${all.sets[one.data].title}, ${one.rule} rule, B = ${one.B}`;
        if (!ours) {
          svg.append(draw("path", {d: `M${at[0]} ${at[1] - 5.5}l5.5 5.5l-5.5 5.5l-5.5 -5.5z`, class: "diamond", style: stroke}));
          tips.push([...at, `${name}\nthe paper (Table ${one.table}): ${number(value(one))}`, ""]);
          continue;
        }
        const [mean, low, high, n] = value(one);
        if (low !== null && (!log || low > 0)) svg.append(draw("path", {d: `M${at[0]} ${y.at(possible(low))}V${y.at(possible(high))}m-4 0h8M${at[0] - 4} ${y.at(possible(low))}h8`, class: "bar", style: stroke}));
        const circle = draw("circle", {cx: at[0], cy: at[1], class: "mean", style: n > 1 ? `fill: ${colour(one.data)}; ${stroke}` : stroke});
        circles.push([circle, one]);
        svg.append(circle);
        const low16 = one.runs.filter((run) => run[all.columns.indexOf("precision")] === "bf16").length;
        tips.push([...at, `${name}, learning rate ${one.lr}\nours: ${number(mean)}${half(value(one))} (n = ${n}${low16 ? `, ${low16} in bf16` : ""})`, one]);
      }
    }
    svg.setAttribute("aria-label", `Chart: ${all.metrics[state.metric]} for ${state.data.map((name) => all.sets[name].title).join(", ")}. Arrow keys read its values, Enter lists the runs behind one.`);
    const follow = ([, , , one]) => { if (one) { pick(one); runs.scrollIntoView({block: "nearest"}); } };
    hover(svg, tips, follow);
    walk(svg, tips, follow);
    chart.append(svg);
    mark();
  };

  const grid = (head, rows) => make("table", {class: "bbatch-table"}, make("thead", {}, make("tr", {}, ...head.map((name) => make("th", {scope: "col"}, name)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell) => cell instanceof Node ? cell : make("td", {}, cell))))));

  const values = (mine, theirs) => {
    const rows = mine.map((cell) => {
      const printed = theirs.find((point) => point.data === cell.data && point.rule === cell.rule && point.B === cell.B);
      const [mean, , , n] = cell.values[state.metric];
      const button = make("button", {type: "button"}, String(n));
      button.setAttribute("aria-label", `list the ${n} runs of ${all.sets[cell.data].title}, B = ${cell.B}, ${cell.rule} rule`);
      button.addEventListener("click", () => { pick(cell); runs.scrollIntoView({block: "nearest"}); });
      return [all.sets[cell.data].title, cell.rule, String(cell.B), String(cell.lr), number(mean) + half(cell.values[state.metric]),
              make("td", {}, button), printed ? `${number(printed.values[state.metric])} (${printed.table})` : "–"];
    });
    table.replaceChildren(grid(["Data set", "Rule", "B", "Learning rate", "Ours ± half of the 95 % interval", "n", "The paper (table)"], rows));
  };

  // The runs behind one cell, with the addresses of their records.
  const pick = (cell) => {
    Object.assign(state, {cell, B: cell.B});
    write();
    mark();
    list();
  };
  const listed = () => state.cell || cells().find((one) => one.B === state.B && one.data === state.data[0]);
  const list = () => {
    const cell = listed();
    runs.replaceChildren();
    if (!cell) return;
    const title = `${all.sets[cell.data].title}, B = ${cell.B}, ${cell.rule} rule: the runs`;
    const shown = ["seed", state.metric, "lr", "precision", "device_name", "commit", "id"].map((name) => all.columns.indexOf(name));
    const head = ["Seed", all.metrics[state.metric], "Learning rate", "Precision", "Hardware", "Code", "Record"];
    const rows = cell.runs.map((run) => shown.map((k, at) => run[k] === null ? "–" : at === 1 && state.metric !== "convergence_epoch" ? number(run[k]) : String(run[k])));
    const csv = [all.columns.join(","), ...cell.runs.map((run) => run.map((v) => v === null ? "" : `"${String(v).replaceAll('"', '""')}"`).join(","))].join("\n");
    const box = make("div", {class: "bbatch-table-box", tabindex: "0", role: "region", "aria-label": title}, grid(head, rows));
    const save = make("a", {href: "data:text/csv;charset=utf-8," + encodeURIComponent(csv), download: `${cell.data}-${cell.rule}-B${cell.B}.csv`}, "Save all their metrics (CSV)");
    const command = `bbatch run ${cell.data} --batch-size ${cell.B} --seed ${cell.runs[0][0]}${cell.rule === "linear" ? "" : ` --lr-rule ${cell.rule}`}`;
    runs.append(make("h2", {}, title), box, make("p", {}, save, ". To train one of them yourself: ", make("code", {}, command)));
  };

  read(); fill(); render();
  window.addEventListener("hashchange", () => { read(); fill(); render(); });
  let before = chart.clientWidth;
  new ResizeObserver(() => { if (chart.clientWidth !== before) { before = chart.clientWidth; picture(cells(), points()); } }).observe(chart);
})();
