"use strict";
// Sorting, filtering, paging and copying of tables, and zooming of charts. Without it the page shows the same rows.
(() => {
  const ROWS = 25;
  const FEW = 10;  // rows that are seen at a glance need no filter
  const make = (name, properties, ...children) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  };
  const number = (text) => {
    const found = text.replace(/,/g, "").match(/^-?\d+(\.\d+)?/);
    return found ? Number(found[0]) : -Infinity;
  };

  class Grid {
    constructor(table) {
      this.table = table;
      this.body = table.tBodies[0];
      this.all = [...this.body.rows].map((row) => ({row, text: row.textContent.toLowerCase()}));
      this.shown = this.all;
      this.page = 0;
      this.heads = [...table.tHead.rows[0].cells];
      this.heads.forEach((head, column) => this.sortable(head, column));
      this.bar();
      this.show();
    }
    sortable(head, column) {
      const button = make("button", {type: "button", className: "sort", textContent: head.textContent});
      button.addEventListener("click", () => this.sort(column));
      head.replaceChildren(button);
    }
    sort(column) {
      const head = this.heads[column];
      const down = head.getAttribute("aria-sort") === "ascending";
      this.heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const text = (entry) => entry.row.cells[column].textContent;
      const compare = head.classList.contains("num")
        ? (one, other) => number(text(one)) - number(text(other))
        : (one, other) => text(one).localeCompare(text(other), "en", {numeric: true});
      this.all.sort((one, other) => (down ? compare(other, one) : compare(one, other)));
      this.filter();
    }
    filter() {
      const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
      this.shown = this.all.filter((entry) => words.every((word) => entry.text.includes(word)));
      this.page = 0;
      this.show();
    }
    turn(by) {
      this.page += by;
      this.show();
    }
    show() {
      const pages = Math.max(1, Math.ceil(this.shown.length / ROWS));
      const first = this.page * ROWS;
      const rows = this.shown.slice(first, first + ROWS);
      this.body.replaceChildren(...rows.map((entry) => entry.row));
      this.back.disabled = this.page === 0;
      this.next.disabled = this.page >= pages - 1;
      this.turning.hidden = pages === 1;
      const count = this.shown.length;
      const span = count ? `${first + 1}–${first + rows.length} of ${count.toLocaleString("en")}` : "no row";
      const of = count === this.all.length ? "" : ` (of ${this.all.length.toLocaleString("en")})`;
      this.told.textContent = span + of;
    }
    bar() {
      const name = this.table.dataset.grid;
      const button = (text, label, act) => {
        const made = make("button", {type: "button", textContent: text, ariaLabel: `${label}: ${name}`});
        made.addEventListener("click", act);
        return made;
      };
      this.search = make("input", {type: "search", placeholder: "filter", ariaLabel: `Filter: ${name}`});
      this.search.addEventListener("input", () => this.filter());
      this.back = button("‹", "Page back", () => this.turn(-1));
      this.next = button("›", "Next page", () => this.turn(1));
      this.told = make("span", {className: "faint"});
      this.told.setAttribute("role", "status");
      this.turning = make("span", {className: "turning"}, this.back, this.next);
      this.copying = button("Copy", "Copy rows", () => this.copy());
      const bar = make("div", {className: "bar"}, this.told, this.turning, this.copying);
      if (this.all.length > FEW) bar.prepend(this.search);
      this.table.closest(".card").before(bar);
    }
    async copy() {
      const line = (cells) => [...cells].map((cell) => {
        const text = cell.textContent.trim().replace(/\s+/g, " ");
        return /^[=+\-@＝＋－＠]/.test(text) && !/^[+-]?[\d.,]+$/.test(text) ? `'${text}` : text;  // no formula for a spreadsheet
      }).join("\t");
      const text = [line(this.heads), ...this.shown.map((entry) => line(entry.row.cells))].join("\n");
      try {
        await navigator.clipboard.writeText(text);
      } catch {
        const area = make("textarea", {value: text});
        document.body.append(area);
        area.select();
        document.execCommand("copy");
        area.remove();
      }
      this.copying.textContent = "Copied";
      setTimeout(() => { this.copying.textContent = "Copy"; }, 1500);
    }
  }

  class Zoom {
    constructor(figure) {
      this.svg = figure.querySelector("svg");
      this.whole = this.svg.getAttribute("viewBox").split(/[\s,]+/).map(Number);
      this.box = [...this.whole];
      const button = (text, label, act) => {
        const made = make("button", {type: "button", textContent: text, ariaLabel: label});
        made.addEventListener("click", act);
        return made;
      };
      this.out = button("−", "Zoom out", () => this.zoom(1.5));
      this.reset = button("Reset", "Show the whole chart", () => this.set([...this.whole]));
      figure.prepend(make("div", {className: "zoom"}, button("+", "Zoom in", () => this.zoom(1 / 1.5)), this.out, this.reset));
      this.svg.addEventListener("wheel", (event) => this.wheel(event), {passive: false});
      this.svg.addEventListener("pointerdown", (event) => this.drag(event));
      this.svg.addEventListener("dblclick", (event) => this.zoom(1 / 2, ...this.place(event)));
      this.set(this.box);
    }
    place(event) {
      const seen = this.svg.getBoundingClientRect();
      return [(event.clientX - seen.left) / seen.width, (event.clientY - seen.top) / seen.height];
    }
    zoom(by, x = 0.5, y = 0.5) {
      const [left, top, width, height] = this.box;
      const wide = Math.min(width * by, this.whole[2]);
      const high = wide * (this.whole[3] / this.whole[2]);
      this.set([left + (width - wide) * x, top + (height - high) * y, wide, high]);
    }
    set([left, top, width, height]) {
      const [x, y, wide, high] = this.whole;
      const within = (value, least, most) => Math.min(Math.max(value, least), most);
      this.box = [within(left, x, x + wide - width), within(top, y, y + high - height), width, height];
      this.svg.setAttribute("viewBox", this.box.map((part) => part.toFixed(3)).join(" "));
      this.out.disabled = this.reset.disabled = width >= wide;
      this.svg.classList.toggle("zoomed", width < wide);
    }
    wheel(event) {
      if (!event.ctrlKey && !event.metaKey) return;  // the page scrolls as ever
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 1 / 1.2 : 1.2, ...this.place(event));
    }
    drag(event) {
      if (this.out.disabled) return;
      event.preventDefault();
      this.svg.setPointerCapture(event.pointerId);
      const [left, top, width, height] = this.box;
      const seen = this.svg.getBoundingClientRect();
      const move = (now) => this.set([
        left - ((now.clientX - event.clientX) / seen.width) * width,
        top - ((now.clientY - event.clientY) / seen.height) * height, width, height]);
      const done = () => {
        this.svg.removeEventListener("pointermove", move);
        this.svg.removeEventListener("pointerup", done);
      };
      this.svg.addEventListener("pointermove", move);
      this.svg.addEventListener("pointerup", done);
    }
  }

  document.querySelectorAll("table[data-grid]").forEach((table) => new Grid(table));
  document.querySelectorAll("figure.zoomable").forEach((figure) => new Zoom(figure));
  const opened = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    const story = target && target.querySelector("details.story");
    if (story) story.open = true;
  };
  addEventListener("hashchange", opened);
  opened();
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details.story:not([open])")];
    closed.forEach((story) => { story.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((story) => { story.open = false; }));
  document.documentElement.classList.add("live");
})();
