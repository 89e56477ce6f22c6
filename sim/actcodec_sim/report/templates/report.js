"use strict";

// Sorting: a click on a heading, numbers by value; a second click turns the order round.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells].filter((heading) => heading.querySelector(".sort"));
  const key = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
  headings.forEach((heading, column) => {
    heading.querySelector(".sort").addEventListener("click", () => {
      const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      const rows = [...body.rows].sort((a, b) => direction * compare(key(a, column), key(b, column)));
      body.append(...rows);
    });
  });
}

// Filtering: rows that have every word.
for (const field of document.querySelectorAll("input[type=search]")) {
  const rows = [...document.getElementById(field.getAttribute("aria-controls")).tBodies[0].rows];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const status = document.getElementById(`${field.id}-status`);
  const apply = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !words.every((word) => texts.get(row).includes(word));
    status.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  };
  field.addEventListener("input", apply);
  apply();
}

// Downloads: the files that were written beside this page.
for (const button of document.querySelectorAll("button[data-file]")) {
  button.addEventListener("click", () => {
    const text = document.getElementById(button.dataset.source).content.textContent;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: button.dataset.type }));
    link.download = button.dataset.file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}

// The DRAM timeline of a layer: banks down, cycles across.
{
  const data = JSON.parse(document.getElementById("timeline-data").textContent);
  const codec = document.getElementById("timeline-codec");
  const layer = document.getElementById("timeline-layer");
  const target = document.getElementById("timeline");
  const printing = window.matchMedia("print");
  const PRINT_WIDTH = 760, LEFT = 108, RIGHT = 12, LANE = 24, AXIS = 24;
  const COLUMN = { RD: "rd", RDA: "rd", WR: "wr", WRA: "wr" };

  const element = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const count = (value) => Math.round(value).toLocaleString("en").replaceAll(",", "\u202f");
  const isRefresh = (command) => command.kind === "REF";
  const rankName = (rank) =>
    (data.channels > 1 ? `channel ${Math.floor(rank / data.ranks)} ` : "") + `rank ${rank % data.ranks}`;
  const bankName = (flat) => {
    const group = Math.floor(flat / data.banks), rank = Math.floor(group / data.groups);
    const parts = [`B${flat % data.banks}`];
    if (data.groups > 1) parts.unshift(`BG${group % data.groups}`);
    if (data.ranks > 1) parts.unshift(`R${rank % data.ranks}`);
    if (data.channels > 1) parts.unshift(`C${Math.floor(rank / data.ranks)}`);
    return parts.join(" ");
  };

  const expand = (runs) =>
    runs.flatMap(([cycle, kind, unit, row, number, pitch]) =>
      Array.from({ length: number }, (_, i) => ({ cycle: cycle + i * pitch, kind, unit, row })));

  // Spans in which a bank has a row open.
  const openSpans = (window, commands) => {
    const since = new Map(window.open.map(([bank, row]) => [bank, { row, from: 0 }]));
    const spans = [];
    const close = (bank, to) => {
      if (since.has(bank)) spans.push({ bank, ...since.get(bank), to });
      since.delete(bank);
    };
    for (const command of commands) {
      if (command.kind === "ACT") since.set(command.unit, { row: command.row, from: command.cycle });
      else if (["PRE", "RDA", "WRA"].includes(command.kind)) close(command.unit, command.cycle);
    }
    for (const bank of [...since.keys()]) close(bank, window.cycles);
    return spans;
  };

  const ticks = (cycles, width) => {
    const rough = (cycles * 90) / width;
    const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= rough);
    return Array.from({ length: Math.floor(cycles / step) + 1 }, (_, i) => i * step);
  };

  const drawing = (window, scaleCycles, width) => {
    const commands = expand(window.runs);
    const banks = [...new Set(commands.filter((c) => !isRefresh(c)).map((c) => c.unit))].sort((a, b) => a - b);
    const ranks = [...new Set(commands.filter(isRefresh).map((c) => c.unit))].sort((a, b) => a - b);
    const lanes = [...banks.map((bank) => bankName(bank)), ...ranks.map((rank) => `${rankName(rank)} refresh`)];
    const height = LANE * lanes.length + AXIS;
    const x = (cycle) => LEFT + ((width - LEFT - RIGHT) * cycle) / scaleCycles;
    const y = (command) => LANE * (isRefresh(command) ? banks.length + ranks.indexOf(command.unit) : banks.indexOf(command.unit));
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
    svg.append(element("title", {}, `Commands by bank and cycle: ${lanes.join(", ")}`));
    for (const cycle of ticks(scaleCycles, width - LEFT - RIGHT)) {
      svg.append(element("line", { class: "axis", x1: x(cycle), x2: x(cycle), y1: 0, y2: height - AXIS + 4 }));
      svg.append(element("text", { x: x(cycle), y: height - 6, "text-anchor": "middle" }, count(cycle)));
    }
    lanes.forEach((name, lane) => svg.append(element("text", { x: LEFT - 8, y: LANE * lane + 16, "text-anchor": "end" }, name)));
    const mark = (kind, where, from, to, inset, title) => {
      const rectangle = element("rect", {
        class: kind, x: x(from), y: where + inset, width: Math.max(x(to) - x(from), 1.2), height: LANE - 2 * inset });
      rectangle.append(element("title", {}, title));
      svg.append(rectangle);
    };
    for (const span of openSpans(window, commands)) {
      if (banks.includes(span.bank)) {
        mark("row", LANE * banks.indexOf(span.bank), span.from, span.to, 2, `row ${span.row} open, cycles ${span.from} to ${span.to}`);
      }
    }
    const least = (scaleCycles * 2.2) / (width - LEFT - RIGHT);
    for (const command of commands) {
      const kind = COLUMN[command.kind] ?? command.kind.toLowerCase();
      const long = { rd: data.burst, wr: data.burst, ref: data.refresh }[kind] ?? least;
      const title = `${command.kind}, cycle ${command.cycle}` + (command.row >= 0 ? `, row ${command.row}` : "");
      mark(kind, y(command), command.cycle, Math.min(command.cycle + long, scaleCycles), kind === "rd" || kind === "wr" ? 6 : 2, title);
    }
    return svg;
  };

  const summary = (window) => {
    const totals = {};
    for (const [, kind, , , number] of window.runs) totals[kind] = (totals[kind] ?? 0) + number;
    const kinds = Object.entries(totals).map(([kind, number]) => `${count(number)} ${kind}`).join(", ");
    const part = window.shown < window.commands ? `the first ${count(window.shown)} of ${count(window.commands)}` : `all ${count(window.commands)}`;
    const time = (window.cycles * data.tCK / 1000).toFixed(2);
    return window.commands
      ? `${part} commands in ${count(window.cycles)} cycles (${time} µs), from cycle ${count(window.start)} of the frame: ${kinds}`
      : "no command: nothing is stored";
  };

  let drawnWidth = 0;
  const draw = () => {
    drawnWidth = target.clientWidth;
    const windows = data.windows[codec.value][layer.value] ?? [];
    const width = printing.matches ? PRINT_WIDTH : Math.max(target.clientWidth, 260);
    const longest = Math.max(1, ...windows.map((window) => window.cycles));
    target.replaceChildren();
    for (const window of windows) {
      const heading = document.createElement("h3");
      heading.textContent = `${window.kind === "write" ? "Write" : "First read"} of ${layer.value}, ${codec.value}`;
      const text = document.createElement("p");
      text.textContent = summary(window);
      target.append(heading, text);
      if (window.commands) target.append(drawing(window, longest, width));
    }
    if (!windows.length) target.textContent = "This codec does not store the layer.";
  };

  new ResizeObserver(() => {
    if (target.clientWidth !== drawnWidth) draw();
  }).observe(target);
  printing.addEventListener("change", draw);
  codec.addEventListener("change", draw);
  layer.addEventListener("change", draw);
  draw();
}
