"use strict";
(() => {
  const root = document.documentElement;
  const key = "oodlab-theme";

  // A page on disk may have no storage; the choice is then forgotten.
  const stored = () => { try { return localStorage.getItem(key); } catch { return null; } };
  const store = (theme) => { try { localStorage.setItem(key, theme); } catch { /* nothing is lost but the choice */ } };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const chosen = stored();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);

  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

  function themeButton() {
    const button = make("button", { type: "button", className: "theme" });
    const show = () => { button.textContent = isDark() ? "Light theme" : "Dark theme"; };
    button.addEventListener("click", () => {
      const theme = isDark() ? "light" : "dark";
      root.dataset.theme = theme;
      store(theme);
      show();
    });
    dark.addEventListener("change", show);
    show();
    document.querySelector(".name")?.append(button);
  }

  // The clipboard is not open to every page; a selection is.
  function copyButtons() {
    for (const source of document.querySelectorAll("[data-copy]")) {
      const button = make("button", { type: "button", className: "copy", textContent: "Copy" });
      const say = (text) => {
        button.textContent = text;
        setTimeout(() => { button.textContent = "Copy"; }, 2000);
      };
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(source.textContent);
          say("Copied");
        } catch {
          getSelection().selectAllChildren(source);
          say("Selected");
        }
      });
      if (source.tagName === "PRE") {
        const row = make("p", { className: "copy-row" });
        row.append(button);
        source.before(row);
      } else {
        source.after(button);
      }
    }
  }

  const collator = new Intl.Collator("en", { numeric: true });

  // Sorting: first the better end, then the other, then the order of the file. Rows without a value come last.
  function sortable(table, changed) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    const values = new Map();
    const column = (at) => {
      if (!values.has(at)) {
        const numeric = heads[at].classList.contains("n");
        values.set(at, new Map(rows.map((row) => {
          const text = row.cells[at].textContent.trim();
          return [row, numeric ? parseFloat(text.replace("\u2212", "-")) : text];
        })));
      }
      return values.get(at);
    };
    const absent = (value) => value === "" || Number.isNaN(value);
    const compare = (a, b) => (typeof a === "number" ? a - b : collator.compare(a, b));
    heads.forEach((head, at) => {
      const button = make("button", { type: "button" });
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      const first = head.classList.contains("high") ? "descending" : "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      button.addEventListener("click", () => {
        const next = { none: first, [first]: second, [second]: "none" }[head.getAttribute("aria-sort")];
        for (const other of heads) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", next);
        const sorted = [...rows];
        if (next !== "none") {
          const of = column(at);
          const sign = next === "ascending" ? 1 : -1;
          sorted.sort((a, b) => {
            const [x, y] = [of.get(a), of.get(b)];
            if (absent(x) || absent(y)) return absent(x) - absent(y);
            return sign * compare(x, y);
          });
        }
        const fragment = new DocumentFragment();
        fragment.append(...sorted);
        body.append(fragment);
        changed(sorted);
      });
    });
  }

  // Of a large table only so many rows are laid out at once: the others are a button away.
  const most = 500;

  function filterable(table) {
    const controls = document.getElementById(`${table.id}-controls`);
    const find = (name) => document.getElementById(`${table.id}-${name}`);
    let rows = [...table.tBodies[0].rows];
    const texts = new Map();
    const textOf = (row) => {
      if (!texts.has(row)) texts.set(row, [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase());
      return texts.get(row);
    };
    const text = find("text");
    const selects = [...controls.querySelectorAll("select")];
    const more = make("button", { type: "button", className: "more" });
    let limit = most;
    table.parentElement.after(more);

    const apply = () => {
      const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
      const wanted = selects.filter((select) => select.value).map((select) => [select.dataset.column, select.value.slice(1)]);
      let found = 0;
      for (const row of rows) {
        const fits = wanted.every(([column, value]) => row.cells[column].textContent === value)
          && words.every((word) => textOf(row).includes(word));
        found += fits;
        row.hidden = !fits || found > limit;
      }
      const shown = Math.min(found, limit);
      const all = rows.length;
      find("count").textContent = found === all && shown === all ? `${all} rows` : `${shown < found ? `${shown} of ` : ""}${found} of ${all} rows`;
      more.hidden = shown === found;
      more.textContent = `Show all ${found} rows`;
    };
    text.addEventListener("input", apply);
    for (const select of selects) select.addEventListener("change", apply);
    find("clear").addEventListener("click", () => {
      text.value = "";
      for (const select of selects) select.value = "";
      apply();
    });
    const showAll = () => { limit = Infinity; apply(); };
    more.addEventListener("click", showAll);
    addEventListener("beforeprint", showAll);

    const style = document.head.appendChild(make("style", {}));
    const heads = [...table.tHead.rows[0].cells];
    const hidden = new Set(heads.flatMap((head, at) => ("hidden" in head.dataset ? [at] : [])));
    const showColumns = () => {
      const rules = [...hidden].map((at) => `#${table.id} tr > :nth-child(${at + 1})`);
      style.textContent = rules.length ? `${rules.join(",\n")} { display: none; }` : "";
    };
    for (const [at, head] of heads.entries()) {
      const box = make("input", { type: "checkbox", checked: !hidden.has(at) });
      box.addEventListener("change", () => {
        if (box.checked) hidden.delete(at); else hidden.add(at);
        showColumns();
      });
      const label = make("label", {});
      label.append(box, head.textContent);
      find("columns").append(label);
    }
    const panel = find("columns").parentElement;
    panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { panel.open = false; panel.firstElementChild.focus(); }
    });
    document.addEventListener("click", (event) => { if (!panel.contains(event.target)) panel.open = false; });
    showColumns();
    controls.hidden = false;
    apply();
    return (sorted) => { rows = sorted; apply(); };
  }

  // Whoever follows an address into a folded part wants to see it.
  function openTarget() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
    if (target && target.tagName === "DETAILS") target.scrollIntoView();
  }

  function openForPrint() {
    let folded = [];
    addEventListener("beforeprint", () => {
      folded = [...document.querySelectorAll("details:not([open])")];
      for (const details of folded) details.open = true;
    });
    addEventListener("afterprint", () => { for (const details of folded) details.open = false; });
  }

  document.addEventListener("DOMContentLoaded", () => {
    themeButton();
    copyButtons();
    for (const table of document.querySelectorAll("table[data-sort]")) {
      const changed = "filter" in table.dataset ? filterable(table) : () => {};
      sortable(table, changed);
    }
    openForPrint();
    addEventListener("hashchange", openTarget);
    openTarget();
  });
})();
