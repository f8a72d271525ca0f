// A namespace as a small planetary model: each service a planet, larger and faster with its rate, coloured by health.

import { attr, s } from "./dom.js";
import { rate } from "./format.js";
import { tone } from "./cells.js";
import { isCalm, moving } from "./motion.js";

const SIZE = 148;
const MOST = 9;

export function orbits() {
  const planets = new Map();
  const rings = s("g", { class: "rings" });
  const bodies = s("g", {});
  const sun = s("circle", { class: "sun", cx: 0, cy: 0, r: 7 });
  const element = s("svg", { viewBox: `${-SIZE / 2} ${-SIZE / 2} ${SIZE} ${SIZE}`, class: "orbits", "aria-hidden": "true" }, rings, sun, bodies);
  moving((passed) => {
    for (const planet of planets.values()) {
      planet.angle += planet.speed * passed;
      stand(planet);
    }
  });

  function stand(planet) {
    planet.body.setAttribute("transform", `translate(${(Math.cos(planet.angle) * planet.reach).toFixed(2)} ${(Math.sin(planet.angle) * planet.reach).toFixed(2)})`);
  }

  function add(service) {
    const name = s("title", {});
    const body = s("g", {}, s("circle", { class: "halo" }), s("circle", { class: "body" }), name);
    bodies.append(body);
    const planet = { body, name, angle: turn(service.name), reach: 0, speed: 0 };
    planets.set(service.name, planet);
    return planet;
  }

  function set(services, health) {
    const shown = [...services].sort((a, b) => b.rps - a.rps || a.name.localeCompare(b.name)).slice(0, MOST);
    const names = new Set(shown.map((service) => service.name));
    for (const [name, planet] of planets) if (!names.has(name)) { planet.body.remove(); planets.delete(name); }
    attr(sun, "class", `sun ${tone(health)}`);
    const gap = Math.min(24, 52 / Math.max(1, shown.length));
    shown.forEach((service, index) => {
      const planet = planets.get(service.name) ?? add(service);
      planet.reach = 17 + gap * (index + 0.4);
      planet.speed = service.rps > 0 ? 0.00012 + 0.00016 * Math.log10(1 + service.rps) : 0;
      const size = 2.4 + Math.min(4, Math.log10(1 + service.rps) * 1.7);
      planet.body.setAttribute("class", `planet ${tone(service.health)}`);
      attr(planet.body.children[0], "r", size + 3);
      attr(planet.body.children[1], "r", size);
      planet.name.textContent = `${service.name}: ${rate(service.rps)}`;
      if (isCalm() || planet.speed === 0 || !planet.body.hasAttribute("transform")) stand(planet);
    });
    const wanted = shown.map((service) => planets.get(service.name).reach.toFixed(1));
    while (rings.children.length > wanted.length) rings.lastElementChild.remove();
    while (rings.children.length < wanted.length) rings.append(s("circle", {}));
    wanted.forEach((reach, index) => attr(rings.children[index], "r", reach));
  }
  return { element, set };
}

/** The same start for the same name. */
function turn(name) {
  let hash = 7;
  for (const letter of name) hash = (hash * 31 + letter.codePointAt(0)) % 6283;
  return hash / 1000;
}
