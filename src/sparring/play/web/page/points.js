// The board of backgammon, seen by one seat all the time: its points 1 to 12 are below, its home on
// the right. Each seat counts its own points, from 1 to 24; 25 is the bar, 0 borne off.

import { element, seatColour, signClass, signed } from "./seats.js";

const SVG = "http://www.w3.org/2000/svg";
const BAR = 25;
const SOURCES = 25; // an action is the number of its die times this, plus the point minus 1
const [BAR_COLUMN, OFF_COLUMN, WIDTH, HEIGHT] = [6, 13, 14, 11];
const ROOM = 4.4; // for the checkers of a point, in their diameters

export class Points {
  constructor(root, facts, play) {
    this.facts = facts;
    this.play = play;
    root.className = "board points";
    const svg = root.appendChild(shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}` }));
    for (let point = 1; point < BAR; point++) svg.append(triangle(point));
    for (const [column, name] of [[BAR_COLUMN, "bar"], [OFF_COLUMN, "off"]]) {
      svg.append(shape("rect", { x: column, y: 0, width: 1, height: HEIGHT, class: name }));
    }
    this.checkers = svg.appendChild(shape("g", {}));
    this.sources = root.appendChild(element("div"));
    this.before = null;
  }

  // `own`: the seat that looks at the board; `fresh`: the position has just come by a move.
  draw(position, { enabled, fresh, own }) {
    const drawn = [];
    for (const [seat, counts] of position.checkers.entries()) {
      for (const [point, count] of counts.entries()) {
        const moved = fresh && point && count > this.before?.[seat][point];
        drawn.push(...this.stack(seat, point, count, seat === own, moved));
      }
    }
    this.checkers.replaceChildren(...drawn);
    this.before = position.checkers;
    this.offer(position, enabled, own);
  }

  stack(seat, point, count, isOwn, moved) {
    const drawn = [];
    for (let number = 0; number < count; number++) {
      const [x, y] = place(point, number, count, isOwn);
      const checker = shape("circle", { cx: x, cy: y, r: point ? 0.42 : 0.3, class: "checker" });
      checker.style.fill = seatColour(this.facts, seat);
      drawn.push(checker);
      if (moved && number === count - 1) {
        drawn.push(shape("circle", { cx: x, cy: y, r: 0.13, class: "moved" }));
      }
    }
    return drawn;
  }

  // A button on the last checker of each point from which a move begins.
  offer(position, enabled, own) {
    const bySource = Map.groupBy(position.legal, ({ action }) => (action % SOURCES) + 1);
    const buttons = [...bySource].map(([point, moves]) => {
      const count = position.checkers[position.seat][point];
      const [x, y] = place(point, count - 1, count, position.seat === own);
      const button = element("button", { className: "source", disabled: !enabled });
      button.style.left = `${(100 * x) / WIDTH}%`;
      button.style.top = `${(100 * y) / HEIGHT}%`;
      button.title = moves.map(({ text }) => text).join(" or ");
      button.setAttribute("aria-label", moves[0].text);
      button.addEventListener("click", () => this.play(moves[0].action));
      if (moves[0].value !== undefined) {
        const value = Math.max(...moves.map((move) => move.value));
        const className = `value ${signClass(value)}`;
        button.append(element("span", { className, textContent: signed(value) }));
      }
      return button;
    });
    this.sources.replaceChildren(...buttons);
  }
}

// Middle of a checker: the number-th from the edge of the board, on the bar from its middle.
function place(point, number, count, isOwn) {
  const step = Math.min(0.86, ROOM / count);
  if (point === 0) {
    const height = 0.4 + 0.32 * number;
    return [OFF_COLUMN + 0.5, isOwn ? HEIGHT - height : height];
  }
  if (point === BAR) {
    const height = 0.8 + step * number;
    return [BAR_COLUMN + 0.5, HEIGHT / 2 + (isOwn ? height : -height)];
  }
  const seen = isOwn ? point : BAR - point;
  const height = 0.47 + step * number;
  return [column(seen) + 0.5, seen <= 12 ? HEIGHT - height : height];
}

function column(point) {
  const from = point <= 12 ? 12 - point : point - 13;
  return from + (from >= BAR_COLUMN ? 1 : 0);
}

function triangle(point) {
  const x = column(point);
  const [base, tip] = point <= 12 ? [HEIGHT, HEIGHT - 4.6] : [0, 4.6];
  const points = `${x},${base} ${x + 1},${base} ${x + 0.5},${tip}`;
  return shape("polygon", { points, class: point % 2 ? "point odd" : "point" });
}

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
