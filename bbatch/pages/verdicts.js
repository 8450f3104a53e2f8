// Filters, sorts and opens the rows of the table of verdicts. Without it the table is whole, every row open.
(() => {
  for (const root of document.querySelectorAll(".bbatch-claims:not([data-ready])")) {
    root.dataset.ready = "";
    const table = root.querySelector("table"), body = table.tBodies[0];
    const claims = [...body.querySelectorAll(".bbatch-claim")].map((row, order) => ({
      row, why: row.nextElementSibling, order, open: row.querySelector(".bbatch-open"),
      text: (row.textContent + " " + row.nextElementSibling.textContent).toLowerCase()}));
    const make = (tag, attributes = {}, ...children) => {
      const element = document.createElement(tag);
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      element.append(...children);
      return element;
    };
    const toggle = (claim, open) => {
      claim.open.setAttribute("aria-expanded", open);
      claim.why.hidden = !open || claim.row.hidden;
    };

    // Controls: what to look for, and what to keep.
    const controls = make("form", {class: "bbatch-claims-controls", role: "search", "aria-label": "Filter the claims"});
    const search = make("input", {type: "search", placeholder: "words or numbers"});
    const choose = (name, key, first) => {
      const select = make("select", {}, make("option", {value: ""}, first));
      for (const value of new Set(claims.map((claim) => claim.row.dataset[key])))
        select.append(make("option", {value}, value));
      controls.append(make("label", {}, name, select));
      return (row) => !select.value || row.dataset[key] === select.value;
    };
    controls.append(make("label", {}, "Search", search));
    const kinds = make("select", {}, ...[["text", "statements"], ["table", "cells of tables"], ["", "both"]]
      .map(([value, name]) => make("option", {value}, name)));
    controls.append(make("label", {}, "Claims made in", kinds));
    const keeps = [choose("Where", "section", "everywhere"), choose("Against our runs", "verdict", "any verdict"),
                   choose("Against the paper", "check", "any verdict")];
    const sort = make("select", {}, ...["paper's order", "verdict", "claim, A to Z"]
      .map((name, value) => make("option", {value}, name)));
    controls.append(make("label", {}, "Order", sort));
    // How many are shown, in the place of the caption, which says how many there are: a part of a table is not read out anew.
    const said = make("p", {role: "status"});
    table.deleteCaption();
    table.setAttribute("aria-label", "Claims");
    table.before(said);

    const filter = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const claim of claims) {
        claim.row.hidden = !((!kinds.value || claim.row.dataset.kind === kinds.value)
          && keeps.every((keep) => keep(claim.row)) && words.every((word) => claim.text.includes(word)));
        toggle(claim, claim.open.getAttribute("aria-expanded") === "true");
        shown += !claim.row.hidden;
      }
      said.textContent = `${shown} of ${claims.length} claims shown`;
    };
    const order = (column, falling = false) => {
      const key = (claim) => column < 0 ? claim.order : claim.row.cells[column].dataset.key || claim.row.cells[column].textContent;
      const sign = falling ? -1 : 1;
      const compare = (a, b) => column < 0 ? a.order - b.order
        : sign * key(a).localeCompare(key(b), "en", {numeric: true}) || a.order - b.order;
      for (const claim of [...claims].sort(compare)) body.append(claim.row, claim.why);
      [...table.tHead.rows[0].cells].forEach((head, k) =>
        head.setAttribute("aria-sort", k !== column ? "none" : falling ? "descending" : "ascending"));
    };
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = make("button", {type: "button"}, head.textContent);
      button.addEventListener("click", () => order(column, head.getAttribute("aria-sort") === "ascending"));
      head.replaceChildren(button);
    });
    controls.addEventListener("input", (event) => {
      if (event.target === sort) order([-1, 5, 0][sort.value]);
      else filter();
    });
    controls.addEventListener("submit", (event) => event.preventDefault());
    claims.forEach((claim) => claim.open.addEventListener("click", () =>
      toggle(claim, claim.open.getAttribute("aria-expanded") !== "true")));

    // An address that names a claim shows it, whatever the filters say.
    const visit = () => {
      const claim = claims.find(({row}) => `#${row.id}` === decodeURIComponent(location.hash));
      if (!claim) return;
      if (claim.row.hidden) {
        controls.reset();
        kinds.value = "";
        filter();
      }
      toggle(claim, true);
      root.closest("details")?.setAttribute("open", "");
      claim.row.scrollIntoView();
    };
    window.addEventListener("hashchange", visit);
    root.prepend(controls);
    claims.forEach((claim) => toggle(claim, false));
    filter();
    visit();
  }
})();
