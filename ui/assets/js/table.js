// A table that sorts by any column and is updated in place, so that focus and scrolling survive a refresh.

import { h } from "./dom.js";

const look = (column) => [column.number ? "number" : "", column.spare ? "spare" : ""].join(" ").trim();

/**
 * `columns`: {title, value(row), cell(row), number, start, spare}; `spare` ones give way on narrow screens. `value` is what is sorted by, `cell` what is shown (a node or
 * text); `number` aligns right; `start: "down"` makes it the first order. `key(row)` names a row.
 */
export function table({ label, columns, key, none, limit = 500 }) {
  let order = { column: Math.max(0, columns.findIndex((column) => column.start)), down: true };
  order.down = columns[order.column].start === "down";
  let rows = [];
  const shown = new Map();
  const buttons = columns.map((column, at) => h("button", { type: "button", onclick: () => sort(at) }, column.title));
  const heads = columns.map((column, at) => h("th", { scope: "col", class: look(column) }, buttons[at]));
  const body = h("tbody", {});
  const vacant = h("div", { class: "table-none", hidden: true }, none ?? "Nothing in this window.");
  const element = h("div", { class: "table-wrap" }, h("table", { "aria-label": label }, h("thead", {}, h("tr", {}, heads)), body), vacant);

  function sort(column) {
    order = { column, down: order.column === column ? !order.down : Boolean(columns[column].number) };
    draw();
  }

  function compare(a, b) {
    const { value } = columns[order.column];
    const [x, y] = [value(a), value(b)];
    const by = typeof x === "number" || typeof y === "number" ? (x ?? -Infinity) - (y ?? -Infinity) : String(x ?? "").localeCompare(String(y ?? ""), undefined, { numeric: true });
    return (order.down ? -by : by) || key(a).localeCompare(key(b));
  }

  function draw() {
    heads.forEach((head, at) => head.setAttribute("aria-sort", at !== order.column ? "none" : order.down ? "descending" : "ascending"));
    const sorted = [...rows].sort(compare).slice(0, limit);
    const wanted = new Set(sorted.map(key));
    for (const [name, line] of shown) if (!wanted.has(name)) { line.remove(); shown.delete(name); }
    sorted.forEach((row, at) => {
      const name = key(row);
      let line = shown.get(name);
      if (!line) {
        line = h("tr", {}, columns.map((column) => h("td", { class: look(column) })));
        shown.set(name, line);
      }
      columns.forEach((column, index) => put(line.children[index], column.cell ? column.cell(row) : String(column.value(row) ?? "–")));
      if (body.children[at] !== line) body.insertBefore(line, body.children[at] ?? null);
    });
    vacant.hidden = rows.length > 0;
    element.firstElementChild.hidden = rows.length === 0;
  }

  function put(cell, content) {
    if (typeof content === "string") {
      if (cell.textContent !== content || cell.firstElementChild) cell.textContent = content;
      return;
    }
    const now = cell.firstElementChild;
    if (now && now.isEqualNode(content)) return;
    cell.replaceChildren(content);
  }

  return { element, set(next) { rows = next; draw(); } };
}
