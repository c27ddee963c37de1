"use strict";
// The report can be read without this script; it adds choosing, filtering and keys.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const one = (selector, from = document) => from.querySelector(selector);
  const frame = one(".frame");
  const map = one(".frame svg");
  const body = one("#picture-body");
  const findings = all(".finding");
  const inset = one(".inset");
  const insetMap = one(".inset svg");
  const panel = one(".card-panel");
  const idle = one(".idle");
  const drawn = new Map();
  for (const part of all(".node, .edge", body)) drawn.set(part.dataset.id, part);
  const pathOf = (element) => JSON.parse(element.dataset.path);
  const summaryOf = (finding) => one("summary", finding) || finding;
  const shown = () => findings.filter((f) => !f.hidden && !f.closest("[hidden]"));
  let chosen = null;
  // With thousands of parts, a second picture in the inset and fading would take seconds for each choice.
  const crowded = drawn.size > 1000;
  body.classList.toggle("crowded", crowded);
  insetMap.toggleAttribute("hidden", crowded);
  if (crowded) insetMap.replaceChildren();

  // Lighting up
  function light(ids) {
    for (const part of all(".lit", body)) part.classList.remove("lit");
    const parts = ids.map((id) => drawn.get(id)).filter(Boolean);
    for (const part of parts) part.classList.add("lit");
    body.classList.toggle("choosing", parts.length > 0);
    return parts;
  }

  function bounds(parts) {
    const boxes = parts.map((p) => p.getBBox());
    const x = Math.min(...boxes.map((b) => b.x)), y = Math.min(...boxes.map((b) => b.y));
    const right = Math.max(...boxes.map((b) => b.x + b.width)), bottom = Math.max(...boxes.map((b) => b.y + b.height));
    return { x: x - 24, y: y - 24, width: right - x + 48, height: bottom - y + 48 };
  }

  function reveal(parts) {
    if (!parts.length) return;
    const box = bounds(parts), view = map.viewBox.baseVal;
    // On an overview nothing can be read: come nearer, as far as the whole path can be seen.
    if (scale < 0.3) zoom(Math.min(0.8, Math.max(0.2, Math.min(frame.clientWidth / box.width, frame.clientHeight / box.height))));
    const left = (box.x - view.x) * scale, top = (box.y - view.y) * scale;
    frame.scrollLeft = left - Math.max(0, (frame.clientWidth - box.width * scale) / 2);
    frame.scrollTop = top - Math.max(0, (frame.clientHeight - box.height * scale) / 2);
    insetMap.setAttribute("viewBox", `${box.x} ${box.y} ${box.width} ${box.height}`);
    insetMap.style.aspectRatio = `${box.width} / ${box.height}`;
  }

  function choose(finding) {
    clear();
    chosen = finding;
    finding.classList.add("chosen");
    summaryOf(finding).setAttribute("aria-current", "true");
    const parts = light(pathOf(finding));
    reveal(parts);
    inset.hidden = !parts.length;
    idle.hidden = true;
    one(".chosen", inset).textContent = (one(".message", finding) || finding).textContent;
  }

  function clear() {
    if (chosen) {
      chosen.classList.remove("chosen");
      summaryOf(chosen).removeAttribute("aria-current");
    }
    chosen = null;
    for (const node of all(".picked", body)) node.classList.remove("picked");
    light([]);
    inset.hidden = panel.hidden = true;
    idle.hidden = false;
  }

  // Components: what is known about one, copied from its place further down
  const described = new Map(all("details.part").map((d) => [d.dataset.part, d]));
  function inspect(node) {
    const finding = chosen;
    clear();
    if (finding && node.classList.contains("lit")) choose(finding);
    node.classList.add("picked");
    const part = described.get(node.dataset.id);
    panel.replaceChildren();
    const title = document.createElement("h3");
    title.textContent = part ? one(".title", part).textContent : one("title", node).textContent;
    panel.append(title);
    if (part) {
      panel.append(one(".soft", part).cloneNode(true), one(".body", part).cloneNode(true));
    } else {
      const note = document.createElement("p");
      note.textContent = "Not described in this report; the plan has its facts.";
      panel.append(note);
    }
    panel.hidden = false;
    idle.hidden = true;
    light([node.dataset.id, ...touching(node.dataset.id)]);
    if (panel.getBoundingClientRect().bottom > innerHeight) panel.scrollIntoView({ block: "nearest" });
  }

  // The flows at a component, from the ends that the picture notes on each of them
  const touching = (id) => {
    const found = [];
    for (const edge of all(".edge", body)) {
      if (edge.dataset.from === id) found.push(edge.dataset.id, edge.dataset.to);
      else if (edge.dataset.to === id) found.push(edge.dataset.id, edge.dataset.from);
    }
    return found;
  };

  // One stop for the tab key; from there the arrow keys lead to the nearest component on that side.
  const nodes = all(".node", body);
  const directions = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  function neighbour(node, [dx, dy]) {
    const middle = (n) => { const b = one(".card", n).getBBox(); return [b.x + b.width / 2, b.y + b.height / 2]; };
    const [x, y] = middle(node);
    let best = null, least = Infinity;
    for (const other of nodes) {
      const [ox, oy] = middle(other), ahead = (ox - x) * dx + (oy - y) * dy;
      const aside = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
      if (ahead > 1 && ahead + 2 * aside < least) [best, least] = [other, ahead + 2 * aside];
    }
    return best;
  }
  function stop(node) {
    for (const other of nodes) other.setAttribute("tabindex", other === node ? "0" : "-1");
  }
  stop(nodes[0]);
  for (const node of nodes) {
    node.setAttribute("role", "button");
    node.setAttribute("aria-label", one("title", node).textContent);
  }
  map.setAttribute("role", "group");
  body.addEventListener("click", (event) => {
    const node = event.target.closest(".node, .edge");
    if (node) inspect(node);
  });
  body.addEventListener("keydown", (event) => {
    const node = event.target.closest(".node");
    if (!node) return;
    const next = directions[event.key] && neighbour(node, directions[event.key]);
    if (next) {
      stop(next);
      next.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      inspect(node);
    }
    if (directions[event.key] || event.key === "Enter" || event.key === " ") event.preventDefault();
  });

  // Findings
  for (const finding of findings) {
    if (finding.matches("details")) {
      finding.addEventListener("toggle", () => {
        if (finding.open && chosen !== finding && !printing) choose(finding);
        else if (!finding.open && chosen === finding) clear();
      });
    } else {
      finding.tabIndex = -1;
      finding.addEventListener("click", () => choose(finding));
    }
  }
  document.addEventListener("click", (event) => {
    const show = event.target.closest("[data-show]");
    if (show) {
      const finding = document.getElementById(show.dataset.show);
      choose(finding);
      one("#picture").scrollIntoView();
    }
    if (event.target.closest("[data-clear]")) clear();
  });

  // Filter
  const filter = one(".filter") || document.createElement("form");
  const words = new Map(findings.map((f) => [f, null]));
  function apply() {
    const severities = new Set(all(".chip[aria-pressed=true]", filter).map((c) => c.dataset.severity));
    const state = filter.elements.state.value;
    const text = filter.elements.text.value.trim().toLowerCase();
    let count = 0;
    for (const finding of findings) {
      if (text && words.get(finding) === null) words.set(finding, finding.textContent.toLowerCase());
      const fits = severities.has(finding.dataset.severity)
        && (!state || finding.closest(".state").dataset.state === state)
        && (!text || words.get(finding).includes(text) || finding.dataset.id.toLowerCase().includes(text));
      finding.hidden = !fits;
      count += fits;
    }
    const any = count < findings.length;
    for (const group of all(".state")) group.hidden = any && !one(".finding:not([hidden])", group);
    one("#no-match").hidden = count > 0 || !findings.length;
    one("output", filter).textContent = any ? `${count} of the ${findings.length} findings on this page` : "";
    if (chosen && chosen.hidden) clear();
  }
  filter.addEventListener("click", (event) => {
    const chip = event.target.closest(".chip");
    if (!chip) return;
    chip.setAttribute("aria-pressed", chip.getAttribute("aria-pressed") === "true" ? "false" : "true");
    apply();
  });
  for (const kind of ["input", "change"]) filter.addEventListener(kind, apply);
  filter.addEventListener("submit", (event) => event.preventDefault());

  // Keys
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      clear();
      return;
    }
    if (event.target.matches("input, select, textarea")) return;
    const step = { j: 1, k: -1 }[event.key];
    if (!step) return;
    const list = shown();
    if (!list.length) return;
    event.preventDefault();
    const at = list.indexOf(chosen);
    const next = list[Math.min(list.length - 1, Math.max(0, at < 0 ? 0 : at + step))];
    choose(next);
    summaryOf(next).focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  });

  // A link to a finding opens it
  function follow() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.matches("details.finding")) {
      if (target.hidden) {
        filter.reset();
        for (const chip of all(".chip", filter)) chip.setAttribute("aria-pressed", "true");
        apply();
      }
      target.open = true;
      choose(target);
      target.scrollIntoView();
    }
  }
  addEventListener("hashchange", follow);

  // Size of the picture: never so small that it can't be read, unless asked for or so large that only an overview helps
  const natural = map.viewBox.baseVal.width;
  const fitting = () => frame.clientWidth / natural;
  let scale = 0;
  function zoom(to) {
    const middle = scale ? (frame.scrollLeft + frame.clientWidth / 2) / scale : 0;
    scale = Math.min(3, Math.max(Math.min(0.1, fitting()), to));
    map.style.width = `${natural * scale}px`;
    if (middle) frame.scrollLeft = middle * scale - frame.clientWidth / 2;
  }
  const start = () => zoom(Math.min(1.25, natural > 6000 ? fitting() : Math.max(fitting(), 0.62)));
  start();
  addEventListener("resize", start);
  one(".tools").addEventListener("click", (event) => {
    const way = event.target.dataset.zoom;
    if (way) zoom(way === "fit" ? fitting() : scale * (way === "in" ? 1.25 : 0.8));
  });

  // On paper everything is open
  let printing = false;
  let wasOpen = [];
  addEventListener("beforeprint", () => {
    printing = true;
    wasOpen = all("details").filter((d) => !d.open);
    for (const d of wasOpen) d.open = true;
  });
  addEventListener("afterprint", () => {
    for (const d of wasOpen) d.open = false;
    setTimeout(() => { printing = false; }, 0);
  });

  follow();
})();
