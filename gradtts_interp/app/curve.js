// The share of B over time, as points that can be dragged. The text box beside it holds the same points as
// time:share,... and is what the server reads; either changes the other. Click adds a point, a double click removes one.
(() => {
  const WIDTH = 600, HEIGHT = 150, NS = "http://www.w3.org/2000/svg";
  const box = () => document.querySelector("#curve-text textarea, #curve-text input");
  const svg = () => document.querySelector("#curve-editor svg");
  let held = -1, drawn = null;
  const read = () => (box()?.value || "").split(",").map((p) => p.split(":").map(Number))
    .filter((p) => p.length === 2 && p.every((v) => Number.isFinite(v) && v >= 0 && v <= 1));
  const write = (points) => {
    const round = (v) => String(Math.round(v * 100) / 100);
    box().value = points.map(([t, s]) => `${round(t)}:${round(s)}`).join(",");
    box().dispatchEvent(new Event("input", { bubbles: true }));
    draw();
  };
  const make = (name, attributes) => {
    const node = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };
  const draw = () => {
    if (!svg() || !box()) return;
    drawn = box().value;
    const points = read();
    const layer = svg().querySelector("g.points");
    layer.replaceChildren();
    if (!points.length) return;
    const at = ([t, s]) => [t * WIDTH, (1 - s) * HEIGHT];
    const line = [[0, points[0][1]], ...points, [1, points[points.length - 1][1]]].map((p) => at(p).join(","));
    layer.append(make("polygon", { points: `0,${HEIGHT} ${line.join(" ")} ${WIDTH},${HEIGHT}`, fill: "#009E73", opacity: 0.2 }));
    layer.append(make("polyline", { points: line.join(" "), fill: "none", stroke: "#009E73", "stroke-width": 3 }));
    points.forEach((p, i) => {
      const [cx, cy] = at(p);
      layer.append(make("circle", { cx, cy, r: 9, fill: "#D55E00", "data-index": i, style: "cursor: grab" }));
    });
  };
  const place = (event) => {
    const area = svg().getBoundingClientRect(), view = svg().viewBox.baseVal;
    const x = view.x + ((event.clientX - area.left) / area.width) * view.width;
    const y = view.y + ((event.clientY - area.top) / area.height) * view.height;
    const inside = (v) => Math.min(1, Math.max(0, v));
    return [inside(x / WIDTH), inside(1 - y / HEIGHT)];
  };
  document.addEventListener("pointerdown", (event) => {
    if (!svg()?.contains(event.target)) return;
    event.preventDefault();
    if (event.target.dataset?.index !== undefined) { held = Number(event.target.dataset.index); return; }
    const points = read(), point = place(event);
    held = points.findIndex((p) => p[0] > point[0]);
    if (held < 0) held = points.length;
    points.splice(held, 0, point);
    write(points);
  });
  document.addEventListener("pointermove", (event) => {
    if (held < 0 || !svg()) return;
    const points = read(), [t, s] = place(event);
    const low = points[held - 1]?.[0] ?? 0, high = points[held + 1]?.[0] ?? 1;
    points[held] = [Math.min(high, Math.max(low, t)), s];
    write(points);
  });
  document.addEventListener("pointerup", () => { held = -1; });
  document.addEventListener("dblclick", (event) => {
    const points = read();
    if (!svg()?.contains(event.target) || event.target.dataset?.index === undefined || points.length < 2) return;
    points.splice(Number(event.target.dataset.index), 1);
    write(points);
  });
  setInterval(() => { if (box() && (box().value !== drawn || !svg()?.querySelector("g.points").hasChildNodes())) draw(); }, 200);
})();
