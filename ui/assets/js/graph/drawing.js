// Draws a frame: boxes and lines on the backdrop, nodes, labels and what can be pointed at on top. Elements are kept by id
// and only changed where they differ.

import { attr, s, text } from "../dom.js";
import { edgeLabel, edgeWords } from "./labels.js";
import { edgeMark, nodeMark, placeLabel } from "./marks.js";

export function drawing(backdrop, front, { select, hover }) {
  const below = s("g", {});
  const above = s("g", {});
  backdrop.append(below);
  front.append(above);
  const layers = { boxes: below.appendChild(s("g", {})), lines: below.appendChild(s("g", {})), hits: above.appendChild(s("g", {})), labels: above.appendChild(s("g", {})), nodes: above.appendChild(s("g", {})) };
  const marks = { boxes: new Map(), nodes: new Map(), edges: new Map() };

  function drop(list, present) {
    for (const [id, mark] of list) {
      if (present.has(id)) continue;
      for (const part of mark.parts) part.remove();
      list.delete(id);
    }
  }

  function act(id) {
    return {
      onclick: (event) => { event.stopPropagation(); select(id); },
      onkeydown: (event) => { if (event.key === "Enter") { event.stopPropagation(); select(id); } },
      onpointerenter: () => hover(id),
      onpointerleave: () => hover(null),
    };
  }

  function drawBox(box, place) {
    let mark = marks.boxes.get(box.id);
    if (!mark) {
      const rect = s("rect", { rx: 16 });
      const title = s("text", { class: "box-title" });
      const group = s("g", { class: "box" }, rect, title);
      layers.boxes.append(group);
      mark = { parts: [group], group, rect, title };
      marks.boxes.set(box.id, mark);
    }
    const { x, y, width, height } = place;
    for (const [name, value] of Object.entries({ x: x - width / 2, y: y - height / 2, width, height })) attr(mark.rect, name, value);
    attr(mark.title, "x", x - width / 2 + 14);
    attr(mark.title, "y", y - height / 2 + 18);
    text(mark.title, box.title);
  }

  function drawNode(node, place) {
    let mark = marks.nodes.get(node.id);
    if (!mark || mark.kind !== node.kind) {
      mark?.parts.forEach((part) => part.remove());
      mark = nodeMark(node.kind, act(node.id));
      layers.nodes.append(...mark.parts);
      marks.nodes.set(node.id, mark);
    }
    mark.set(node, place);
  }

  function drawEdge(edge, route, model, options) {
    let mark = marks.edges.get(edge.id);
    if (!mark) {
      mark = edgeMark(act(edge.id));
      layers.lines.append(mark.line, mark.head);
      layers.hits.append(mark.hit);
      layers.labels.append(mark.label);
      marks.edges.set(edge.id, mark);
    }
    const name = (id) => [model.nodes.get(id).title, model.nodes.get(id).version].filter(Boolean).join(" ");
    mark.set(edge, route, edgeWords(edge, name(edge.source), name(edge.target)));
    const isPlain = repeats(edge, model);
    placeLabel(mark, route, isPlain ? [] : edgeLabel(edge, options.labels), options.locks && !isPlain ? edge.mtls : null, edge.isIdle);
  }

  /** The only way on from a service to its only workload says what the calls of the service say already. */
  function repeats(edge, model) {
    const [source, target] = [model.nodes.get(edge.source), model.nodes.get(edge.target)];
    return source.kind === "service" && source.parent !== "" && source.parent === target.parent && source.out.length === 1 && source.in.length > 0 && target.in.length === 1;
  }

  return {
    draw(model, layout, options) {
      drop(marks.boxes, model.boxes);
      drop(marks.nodes, model.nodes);
      drop(marks.edges, model.edges);
      for (const box of model.boxes.values()) if (layout.nodes?.[box.id]) drawBox(box, layout.nodes[box.id]);
      for (const node of model.nodes.values()) if (layout.nodes?.[node.id]) drawNode(node, layout.nodes[node.id]);
      for (const edge of model.edges.values()) if (layout.edges?.[edge.id]) drawEdge(edge, layout.edges[edge.id], model, options);
    },
    view({ x, y, k }) {
      for (const group of [below, above]) attr(group, "transform", `translate(${x.toFixed(2)} ${y.toFixed(2)}) scale(${k.toFixed(4)})`);
      attr(front, "data-far", String(k < 0.38));
    },
    /** `lit` stays bright and the rest steps back; null for all. `chosen` is marked. */
    light(lit, chosen) {
      for (const list of [marks.nodes, marks.edges]) {
        for (const [id, mark] of list) {
          for (const part of mark.parts) {
            part.classList.toggle("dim", lit !== null && !lit.has(id));
            part.classList.toggle("chosen", id === chosen);
          }
        }
      }
    },
    path: (id) => marks.edges.get(id)?.line,
  };
}
