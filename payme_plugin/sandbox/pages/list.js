// A list of rows that stays fast with thousands of them: newest first, a bounded number is drawn, rows are kept.

import { at, element } from "/static/common.js";
import { text } from "/static/texts.js";

const PAGE = 100;

/**
 * A list under the ids NAME, NAME-count, NAME-none and NAME-older.
 *
 * It is one stop of the Tab key: the arrow keys, Home and End move between its rows, and Tab goes on to the buttons of
 * the row.
 */
export class List {
  /**
   * `kept` bounds the rows in memory, `age` returns the number that they are sorted by, and `draw` returns the elements
   * of one, the first of which is a button of the class `pick`.
   */
  constructor(name, kept, age, draw) {
    this.name = name;
    this.kept = kept;
    this.age = age;
    this.draw = draw;
    this.rows = new Map();
    this.shown = PAGE;
    this.activeKey = null;
    this.drawn = new Map();
    this.box = at(name);
    this.box.addEventListener("keydown", (event) => this.moved(event));
    this.box.addEventListener("focusin", (event) => this.activate(event.target.closest("li")?.dataset.key ?? null));
    at(`${name}-older`).addEventListener("click", () => {
      const before = this.shown;
      this.shown += PAGE;
      this.show(this.isWanted, this.selectedKey);
      // Without older rows the button is gone.
      if (at(`${name}-older`).hidden) this.box.children[before]?.querySelector(".pick").focus();
    });
  }

  clear() {
    this.rows.clear();
  }

  /** Add a row or replace it; the oldest one goes if there are too many. */
  put(key, row) {
    this.rows.set(String(key), row);
    if (this.rows.size > this.kept) this.rows.delete(this.rows.keys().next().value);
  }

  /** Add rows that are older than what is here; a row that is here already is newer. */
  putOlder(rows, keyOf) {
    const newer = this.rows;
    this.rows = new Map();
    for (const row of rows.slice(-this.kept)) this.rows.set(String(keyOf(row)), row);
    for (const [key, row] of newer) this.put(key, row);
  }

  get(key) {
    return this.rows.get(String(key));
  }

  /** Draw anew what changed: rows whose object is the same are kept with the focus that they have. */
  show(isWanted, selectedKey, isAnew = false) {
    this.isWanted = isWanted;
    this.selectedKey = selectedKey;
    const wanted = [...this.rows].filter(([, row]) => isWanted(row));
    const keys = wanted
      .reverse()
      .sort(([, one], [, other]) => this.age(other) - this.age(one))
      .map(([key]) => key);
    const drawn = new Map();
    for (const key of keys.slice(0, this.shown)) drawn.set(key, this.row(key, isAnew));
    const focused = this.box.contains(document.activeElement) ? document.activeElement : null;
    this.drawn = drawn;
    if (!drawn.has(this.activeKey)) this.activeKey = drawn.keys().next().value ?? null;
    this.arrange([...drawn.values()].map(({ item }) => item));
    for (const [key, { item }] of drawn) {
      item.classList.toggle("selected", key === selectedKey);
      item.querySelector(".pick").setAttribute("aria-pressed", String(key === selectedKey));
      this.reach(key);
    }
    if (focused && document.activeElement !== focused) this.refocus(focused);
    this.count(keys.length);
  }

  row(key, isAnew) {
    const row = this.rows.get(key);
    const before = this.drawn.get(key);
    if (before?.row === row && !isAnew) return before;
    const item = element("li", { "data-key": key }, ...this.draw(row));
    return { row, item, replaces: before?.item };
  }

  /** Put the rows in their order and touch only what is out of place, so that no row loses its focus. */
  arrange(items) {
    const wanted = new Set(items);
    for (const item of [...this.box.children]) if (!wanted.has(item)) item.remove();
    let next = this.box.firstChild;
    for (const item of items) {
      if (item === next) next = next.nextSibling;
      else this.box.insertBefore(item, next);
    }
  }

  /** Give the focus back to the row that was drawn anew, to the same button if it still has it. */
  refocus(before) {
    const item = this.drawn.get(before.closest("li")?.dataset.key ?? this.activeKey)?.item;
    const button = before.dataset.action && item?.querySelector(`[data-action="${before.dataset.action}"]`);
    (button || item?.querySelector(".pick") || this.box.querySelector(".pick"))?.focus({ preventScroll: true });
  }

  count(all) {
    const isEmpty = this.rows.size === 0;
    at(`${this.name}-count`).textContent = isEmpty ? "" : text("dashboard.shown", { shown: all, all: this.rows.size });
    at(`${this.name}-none`).hidden = all > 0;
    at(`${this.name}-none`).textContent = text(isEmpty ? `dashboard.${this.name}.none` : "dashboard.nothing");
    at(`${this.name}-older`).hidden = all <= this.shown;
    at(`${this.name}-older`).textContent = text("dashboard.older", { count: Math.min(PAGE, all - this.shown) });
  }

  reach(key) {
    for (const button of this.drawn.get(key)?.item.querySelectorAll("button") ?? []) {
      button.tabIndex = key === this.activeKey ? 0 : -1;
    }
  }

  activate(key) {
    const before = this.activeKey;
    if (key === null || key === before) return;
    this.activeKey = key;
    this.reach(before);
    this.reach(key);
  }

  moved(event) {
    const keys = [...this.drawn.keys()];
    const here = keys.indexOf(this.activeKey);
    const steps = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: keys.length - 1 };
    const item = this.drawn.get(keys[steps[event.key]])?.item;
    if (!item) return;
    event.preventDefault();
    item.querySelector(".pick").focus();
  }
}
