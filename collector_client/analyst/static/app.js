// The page's behaviour beyond htmx: live refresh, keyboard, time range. Reads attributes, writes no markup.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const typing = (target) => target.matches("input:not([type=checkbox]), select, textarea");
  let selecting = false;

  function refresh() {
    const results = $("results");
    if (results && window.htmx) htmx.trigger(results, "refresh");
  }

  // Live refresh: only while the tab is in front, nobody drags on the chart, and no menu is open.
  const live = $("live");
  if (live) {
    try {
      live.checked = localStorage.getItem("live") !== "off";
    } catch { /* storage is switched off: the box still works for this page */ }
    live.addEventListener("change", () => {
      try {
        localStorage.setItem("live", live.checked ? "on" : "off");
      } catch { /* as above */ }
    });
    setInterval(() => {
      const menu = document.activeElement && document.activeElement.matches("select");
      if (live.checked && !document.hidden && !selecting && !menu) refresh();
    }, Number(live.dataset.every) * 1000);
  }

  const busy = $("busy");
  const offline = $("offline");
  if (busy) {
    document.addEventListener("htmx:before:request", () => { busy.hidden = false; });
    document.addEventListener("htmx:finally:request", () => { busy.hidden = true; });
    document.addEventListener("htmx:after:request", () => { offline.hidden = true; });
    document.addEventListener("htmx:error", () => { offline.hidden = false; });
  }
  // Empty fields mean nothing to the server: leave them out of the address.
  document.addEventListener("htmx:config:request", (event) => {
    const body = event.detail.ctx.request.body;
    for (const [name, value] of [...body]) if (value === "") body.delete(name);
  });

  // A chosen range replaces the chart's own, and the other way round.
  function setRange(since, until) {
    const range = $("range");
    if (!range) return;
    $("since").value = since;
    $("until").value = until;
    const custom = range.querySelector("option[value=custom]");
    custom.hidden = custom.disabled = !since;
    range.value = since ? "custom" : "all";
    $("filters").requestSubmit();
  }
  document.addEventListener("change", (event) => {
    if (event.target.id === "range" && event.target.value !== "custom") $("since").value = $("until").value = "";
  }, true);
  document.addEventListener("timeline:select", (event) => setRange(event.detail.since, event.detail.until));
  document.addEventListener("timeline:reset", () => setRange("", ""));
  document.addEventListener("mousedown", (event) => { selecting = Boolean(event.target.closest(".timeline")); });
  document.addEventListener("mouseup", () => { selecting = false; });

  // A click anywhere in a row opens it, unless text is being selected.
  document.addEventListener("click", (event) => {
    const row = event.target.closest("table.rows tbody tr");
    const link = row && row.querySelector("a.row-link");
    if (!link || event.target.closest("a, button, input, label") || String(getSelection())) return;
    if (event.ctrlKey || event.metaKey) window.open(link.href, "_blank", "noopener");
    else link.click();
  });

  const keys = $("keys");
  $("keys-button").addEventListener("click", () => keys.showModal());

  function move(step) {
    const links = [...document.querySelectorAll("a.row-link")];
    if (!links.length) return;
    const at = links.indexOf(document.activeElement);
    const next = at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + step));
    links[next].focus();
    links[next].closest("tr").scrollIntoView({ block: "nearest" });
  }
  const follow = (id) => { const link = $(id); if (link) link.click(); };
  const actions = {
    j: () => move(1),
    k: () => move(-1),
    u: () => follow("up"),
    "[": () => follow("newer"),
    "]": () => follow("older"),
    "/": () => { const box = $("q"); if (box) { box.focus(); box.select(); } },
    g: () => { location.href = "/"; },
    s: () => { location.href = "/sensors"; },
    r: refresh,
    "?": () => keys.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || keys.open) return;
    if (typing(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const action = actions[event.key];
    if (action) {
      event.preventDefault();
      action();
    }
  });
})();
