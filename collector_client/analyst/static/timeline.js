// The time line: stacked bars by uPlot from the numbers in #timeline's data attributes. Announces a dragged range as
// `timeline:select` and a double-click as `timeline:reset`; what they mean is app.js's business.
"use strict";
(() => {
  const STACKS = ["p1", "p2", "p3", "px"];
  const HEIGHT = 150;
  const PAD = 2;
  let plot = null;
  let drawn = "";

  const two = (n) => String(n).padStart(2, "0");
  function label(seconds, withDate, withSeconds) {
    const t = new Date(seconds * 1000);
    const date = `${t.getUTCFullYear()}-${two(t.getUTCMonth() + 1)}-${two(t.getUTCDate())}`;
    const time = `${two(t.getUTCHours())}:${two(t.getUTCMinutes())}${withSeconds ? `:${two(t.getUTCSeconds())}` : ""}`;
    return withDate ? `${date} ${time}` : time;
  }
  const iso = (seconds) => `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`;

  function tickLabels(_, ticks, __, ___, step) {
    let day = "";
    return ticks.map((seconds) => {
      const [date, time] = label(seconds, true, step < 60).split(" ");
      const first = date !== day;
      day = date;
      if (step >= 28 * 86400) return date.slice(0, 7);
      if (step >= 86400) return date;
      return first ? `${time}\n${date}` : time;
    });
  }

  // uPlot draws each series from zero, so a stack is drawn as running sums, the largest first.
  function stacked(counts) {
    const sums = [];
    counts.forEach((row, i) => sums.push(row.map((value, x) => value + (i ? sums[i - 1][x] : 0))));
    return sums;
  }

  function draw() {
    const box = document.getElementById("timeline");
    if (!box || !window.uPlot) return;
    const state = `${box.dataset.starts}|${box.dataset.counts}|${box.clientWidth}|${matchMedia("(prefers-color-scheme: dark)").matches}`;
    if (state === drawn && plot && box.contains(plot.root)) return;
    drawn = state;
    if (plot) plot.destroy();
    box.replaceChildren();

    const width = Number(box.dataset.width);
    const starts = JSON.parse(box.dataset.starts);
    const counts = JSON.parse(box.dataset.counts);
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(`--${name}`).trim();
    const readout = document.getElementById("readout");
    const hint = readout ? readout.textContent : "";
    const axis = { stroke: color("dim"), grid: { stroke: color("line"), width: 1 }, ticks: { stroke: color("line"), width: 1 }, font: "11px system-ui, sans-serif" };

    plot = new uPlot({
      width: Math.max(280, box.clientWidth),
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
      scales: {
        x: { time: true, range: () => [starts[0], starts[starts.length - 1] + width] },
        y: { range: (_, __, max) => [0, Math.max(1, max)] },
      },
      axes: [
        { ...axis, values: tickLabels, space: 90 },
        { ...axis, size: 52, space: 30, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6, 1e7] },
      ],
      series: [{}, ...STACKS.slice().reverse().map((name) => ({
        fill: color(name),
        width: 0,
        points: { show: false },
        paths: uPlot.paths.bars({ align: 1, size: [1, 60], gap: starts.length > 60 ? 1 : PAD }),
      }))],
      hooks: {
        setCursor: [(u) => {
          if (!readout) return;
          const at = u.cursor.left < 0 ? null : Math.floor((u.posToVal(u.cursor.left, "x") - starts[0]) / width);
          if (at === null || at < 0 || at >= starts.length) {
            readout.textContent = hint;
            return;
          }
          const parts = counts.map((row, i) => (row[at] ? `${row[at]} ${STACKS[i] === "px" ? "other" : `of priority ${i + 1}`}` : "")).filter(Boolean);
          readout.textContent = `${label(starts[at], true, width < 60)} UTC: ${parts.join(", ") || "none"}`;
        }],
        setSelect: [(u) => {
          if (u.select.width < 4) return;
          const from = Math.floor((u.posToVal(u.select.left, "x") - starts[0]) / width);
          const to = Math.ceil((u.posToVal(u.select.left + u.select.width, "x") - starts[0]) / width);
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          const first = starts[0] + Math.max(0, from) * width;
          const last = starts[0] + Math.min(starts.length, Math.max(to, from + 1)) * width;
          document.dispatchEvent(new CustomEvent("timeline:select", { detail: { since: iso(first), until: iso(last) } }));
        }],
      },
    }, [starts, ...stacked(counts).reverse()], box);
    plot.over.addEventListener("dblclick", () => document.dispatchEvent(new CustomEvent("timeline:reset")));
    box.dataset.drawn = String(counts.flat().reduce((sum, value) => sum + value, 0));
  }

  document.addEventListener("DOMContentLoaded", draw);
  document.addEventListener("htmx:after:swap", draw);
  document.addEventListener("htmx:after:settle", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("resize", draw);
})();
