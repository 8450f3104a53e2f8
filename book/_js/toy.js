// Batch size, learning rate and noise on a loss of one weight, to be played with (book/background.md).
// Without a page, `node book/_js/toy.js` writes book/toy.html, the still picture that stands there without JavaScript.
(() => {
  const SIGMA = 4;  // standard deviation of a single sample's gradient
  const STEPS = 4000, WALKERS = 100, SHOWN = 3, START = -1, WARM_UP = 200;
  const VALLEYS = {  // each valley is a parabola: its bottom, its curvature, and the ridge to its right
    two: [{at: -1, curvature: 16, until: -0.6}, {at: 1, curvature: 1, until: Infinity}],
    one: [{at: 1, curvature: 1, until: Infinity}],
  };
  const DEFAULT = {valleys: "two", optimizer: "sgd", batch: 0, rate: -8, warmUp: false};
  const RATES = {least: -12, most: -2};  // the rate is a power of the square root of two
  const BATCHES = {least: 0, most: 10};  // the batch size is a power of two

  const batchOf = ({batch}) => 2 ** batch, rateOf = ({rate}) => 2 ** (rate / 2);
  const height = (valley, w) => 0.5 * valley.curvature * (w - valley.at) ** 2;
  const around = (valleys, w) => (w < valleys[0].until ? valleys[0] : valleys.at(-1));

  // Numbers from a fixed seed: uniform ones by mulberry32, pairs of normal ones from those by Box and Muller's transform.
  const normals = (count, seed = 42) => {
    const uniform = () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    const made = new Float64Array(count);
    for (let k = 0; k < count; k += 2) {
      const length = Math.sqrt(-2 * Math.log(1 - uniform())), angle = 2 * Math.PI * uniform();
      made[k] = length * Math.cos(angle);
      if (k + 1 < count) made[k + 1] = length * Math.sin(angle);
    }
    return made;
  };
  let drawn = new Float64Array(0);
  const noise = (count) => (drawn.length >= count ? drawn : (drawn = normals(count)));

  // Where each walker is after each step, [walkers * (steps + 1)]. The noise is the same whatever the settings, so that
  // two settings can be compared. A walker that leaves for good stays at infinity.
  const walk = (settings, {walkers = WALKERS, steps = STEPS} = {}) => {
    const valleys = VALLEYS[settings.valleys], size = SIGMA / Math.sqrt(batchOf(settings));
    const full = rateOf(settings), adam = settings.optimizer === "adam", rising = settings.warmUp ? WARM_UP : 1;
    const random = noise(walkers * steps), paths = new Float64Array(walkers * (steps + 1));
    for (let n = 0; n < walkers; n++) {
      let w = START, m = 0, v = 0, decay1 = 1, decay2 = 1;
      paths[n * (steps + 1)] = w;
      for (let t = 0; t < steps; t++) {
        const valley = around(valleys, w), g = valley.curvature * (w - valley.at) + size * random[n * steps + t];
        const rate = full * Math.min(1, (t + 1) / rising);
        if (!adam) w -= rate * g;
        else {  // Adam as its authors give it: 0.9, 0.999, 1e-8
          m = 0.9 * m + 0.1 * g, v = 0.999 * v + 0.001 * g * g, decay1 *= 0.9, decay2 *= 0.999;
          w -= rate * (m / (1 - decay1)) / (Math.sqrt(v / (1 - decay2)) + 1e-8);
        }
        paths[n * (steps + 1) + t + 1] = w;
      }
    }
    return paths;
  };

  // Of the second half of the steps: mean and standard deviation of w, and the share of time in the wide valley.
  const summary = (settings, {walkers = WALKERS, steps = STEPS} = {}) => {
    const paths = walk(settings, {walkers, steps}), valleys = VALLEYS[settings.valleys], wide = valleys.at(-1);
    const half = steps / 2, late = new Float64Array(walkers * half);
    for (let n = 0; n < walkers; n++) late.set(paths.subarray(n * (steps + 1) + half + 1, (n + 1) * (steps + 1)), n * half);
    let sum = 0, squares = 0, inWide = 0;
    for (const w of late) { sum += w; if (around(valleys, w) === wide) inWide++; }
    const mean = sum / late.length;
    for (const w of late) squares += (w - mean) ** 2;
    return {paths, late, mean, spread: Math.sqrt(squares / late.length), inWide: inWide / late.length};
  };

  // Standard deviation in one valley once the start is forgotten. SGD: w' = (1 - rate h) w - rate e with noise e of
  // variance sigma^2 / B keeps the variance rate sigma^2 / (B h (2 - rate h)). Adam, where noise outweighs the gradient:
  // it divides by sigma / sqrt(B), which makes it SGD at the rate times sqrt(B) / sigma, to first order.
  const formula = (settings, {curvature: h} = VALLEYS[settings.valleys].at(-1)) => {
    const B = batchOf(settings), rate = rateOf(settings);
    if (settings.optimizer === "adam") return Math.sqrt((rate * SIGMA) / (2 * h * Math.sqrt(B)));
    return rate * h < 2 ? Math.sqrt((rate * SIGMA ** 2) / (B * h * (2 - rate * h))) : Infinity;
  };

  // The drawing: w across; above, the loss and where the walkers are; below, three walkers, their steps downwards.
  const WIDTH = 640, ABOVE = 200, HEIGHT = 430, LEFT = 58, FROM = -3, TO = 5, HIGHEST = 4;
  const x = (w) => LEFT + ((Math.min(Math.max(w, FROM), TO) - FROM) / (TO - FROM)) * (WIDTH - LEFT - 10);
  const y = (loss) => ABOVE - (Math.min(loss, HIGHEST) / HIGHEST) * (ABOVE - 30);
  const down = (t) => ABOVE + 44 + (Math.log10(t + 1) / Math.log10(STEPS + 1)) * (HEIGHT - ABOVE - 54);
  const line = (points) => "M" + points.map(([a, b]) => `${a.toFixed(1)} ${b.toFixed(1)}`).join("L");
  const rounded = (value) => (Number.isFinite(value) && value < 1000 ? value.toPrecision(2) : "beyond all bounds");

  const words = (settings, {spread, inWide}) => {
    const said = [`B = ${batchOf(settings)}, rate ${rateOf(settings).toPrecision(2)}.`];
    said.push(settings.optimizer === "sgd"
      ? `Rate over batch size: ${(rateOf(settings) / batchOf(settings)).toPrecision(2)}.`
      : `Rate over the root of batch size: ${(rateOf(settings) / Math.sqrt(batchOf(settings))).toPrecision(2)}.`);
    if (settings.valleys === "one") said.push(`Spread: ${rounded(spread)}; the formula says ${rounded(formula(settings))}.`);
    else said.push(`Time spent in the wide valley: ${Math.round(100 * inWide)}\u00a0%.`);
    return said.join(" ");
  };

  const picture = (settings, found) => {
    const valleys = VALLEYS[settings.valleys], bins = 160, counts = new Array(bins).fill(0), parts = [];
    for (const w of found.late) {
      const k = Math.floor(((w - FROM) / (TO - FROM)) * bins);
      if (k >= 0 && k < bins) counts[k]++;
    }
    const most = Math.max(...counts, 1), middle = (k) => FROM + ((k + 0.5) / bins) * (TO - FROM);
    const area = counts.map((count, k) => [x(middle(k)), ABOVE - (count / most) * (ABOVE - 60)]);
    parts.push(`<path class="bbatch-toy-where" d="${line([[x(FROM), ABOVE], ...area, [x(TO), ABOVE]])}Z"/>`);
    const curve = Array.from({length: bins + 1}, (_, k) => FROM + (k / bins) * (TO - FROM));
    parts.push(`<path class="bbatch-toy-loss" d="${line(curve.map((w) => [w, height(around(valleys, w), w)])
      .filter(([, loss]) => loss <= HIGHEST).map(([w, loss]) => [x(w), y(loss)]))}"/>`);
    const times = [...new Set(Array.from({length: 161}, (_, k) => Math.round((STEPS + 1) ** (k / 160)) - 1))];
    for (let n = 0; n < SHOWN; n++) {
      const path = times.map((t) => [x(found.paths[n * (STEPS + 1) + t]), down(t)]);
      parts.push(`<path class="bbatch-toy-walk bbatch-toy-walk-${n}" d="${line(path)}"/>`);
    }
    for (let w = FROM; w <= TO; w++) parts.push(`<text x="${x(w)}" y="${ABOVE + 18}" text-anchor="middle">${String(w).replace("-", "−")}</text>`);
    for (const t of [1, 10, 100, 1000]) parts.push(`<text x="${LEFT - 8}" y="${(down(t) + 4).toFixed(1)}" text-anchor="end">${t}</text>`);
    parts.push(`<path class="bbatch-toy-axis" d="M${x(FROM)} ${ABOVE}H${x(TO)}M${x(FROM)} ${down(0)}V${down(STEPS)}"/>`);
    if (settings.warmUp) parts.push(`<path class="bbatch-toy-axis" stroke-dasharray="4 4" d="M${x(FROM)} ${down(WARM_UP).toFixed(1)}H${x(TO)}"/>`,
      `<text x="${x(TO)}" y="${(down(WARM_UP) - 5).toFixed(1)}" text-anchor="end">warm-up ends</text>`);
    parts.push(`<text x="${x(TO)}" y="16" text-anchor="end">line: loss; area: where the walkers are</text>`,
      `<text x="${x(TO)}" y="${down(0) + 4}" text-anchor="end">three walkers, step by step</text>`,
      `<text x="${LEFT}" y="16">loss</text>`, `<text x="${LEFT - 8}" y="${down(0) - 8}" text-anchor="end">step</text>`,
      `<text x="${x(TO)}" y="${ABOVE - 8}" text-anchor="end">weight</text>`);
    return parts.join("");
  };

  const svg = (settings, found) => `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="`
    + `Random walks on a loss with ${settings.valleys === "two" ? "a narrow and a wide valley" : "one valley"}. `
    + `${words(settings, found)}">${picture(settings, found)}</svg>`;
  const caption = "Noise moves a weight about. All walkers start at −1, where the narrow valley of the two is. "
    + "A gradient of one sample has noise of standard deviation 4.";
  const still = (settings = DEFAULT) => {
    const found = summary(settings);
    return `<figure id="toy" class="bbatch-toy">\n${svg(settings, found)}\n<p class="bbatch-toy-words">${words(settings, found)}</p>\n`
      + `<figcaption>${caption}</figcaption>\n</figure>\n`;
  };

  if (typeof document === "undefined") {
    module.exports = {DEFAULT, VALLEYS, WARM_UP, walk, summary, formula, still};
    if (require.main === module) require("fs").writeFileSync(`${__dirname}/../toy.html`, still());
    return;
  }
  window.bbatchToy = {DEFAULT, VALLEYS, WARM_UP, walk, summary, formula, still};

  const figure = document.getElementById("toy");
  if (!figure) return;
  const settings = {...DEFAULT};
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const said = figure.querySelector(".bbatch-toy-words");
  said.setAttribute("role", "status");
  const controls = make("div", {class: "bbatch-toy-controls"});

  const slider = (name, label, key, {least, most}, text) => {
    const input = make("input", {type: "range", min: least, max: most, step: 1}), at = make("output");
    input.addEventListener("input", () => { settings[key] = Number(input.value); draw(); });
    input.show = () => {
      input.value = settings[key];
      at.textContent = text(settings);
      input.setAttribute("aria-valuetext", at.textContent);
    };
    controls.append(make("label", {class: "bbatch-slider"}, label, input, at));
    return input;
  };
  const choice = (legend, key, options) => {
    const group = make("fieldset", {}, make("legend", {}, legend));
    const inputs = options.map(([value, text]) => {
      const input = make("input", {type: "radio", name: `toy-${key}`, value});
      input.addEventListener("change", () => { settings[key] = value; draw(); });
      input.show = () => { input.checked = settings[key] === value; };
      group.append(make("label", {}, input, ` ${text}`));
      return input;
    });
    controls.append(group);
    return inputs;
  };
  const jump = (text, batch, rate) => {
    const button = make("button", {type: "button"}, text);
    const fits = (value, {least, most}) => value >= least && value <= most;
    button.addEventListener("click", () => { settings.batch += batch; settings.rate += rate; draw(); });
    button.show = () => {
      button.disabled = !fits(settings.batch + batch, BATCHES) || !fits(settings.rate + rate, RATES);
    };
    return button;
  };
  const warmUp = make("input", {type: "checkbox"});
  warmUp.addEventListener("change", () => { settings.warmUp = warmUp.checked; draw(); });
  warmUp.show = () => { warmUp.checked = settings.warmUp; };

  const shown = [
    slider("batch", "Batch size B", "batch", BATCHES, (s) => String(batchOf(s))),
    slider("rate", "Learning rate", "rate", RATES, (s) => rateOf(s).toPrecision(2)),
    ...choice("Loss", "valleys", [["two", "two valleys"], ["one", "one valley"]]),
    ...choice("Optimizer", "optimizer", [["sgd", "SGD"], ["adam", "Adam"]]),
    warmUp,
    jump("B × 2, rate × 2", 1, 2), jump("B × 2, rate × √2", 1, 1), jump("B × 2, rate as it is", 1, 0),
  ];
  controls.append(make("label", {}, warmUp, ` warm-up over ${WARM_UP} steps`));
  const jumps = make("div", {class: "bbatch-toggles", role: "group", "aria-label": "Double the batch size"}, ...shown.slice(-3));
  const again = make("button", {type: "button"}, "from the start");
  again.addEventListener("click", () => { Object.assign(settings, DEFAULT); draw(); });
  jumps.append(again);
  controls.append(jumps);
  figure.prepend(controls);

  let waiting = 0;
  function draw() {  // at most once a frame, however fast a slider moves
    shown.forEach((control) => control.show());
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => {
      const found = summary(settings), holder = document.createElement("div");
      holder.innerHTML = svg(settings, found);
      figure.querySelector("svg").replaceWith(holder.firstChild);
      said.textContent = words(settings, found);
    });
  }
  draw();
})();
