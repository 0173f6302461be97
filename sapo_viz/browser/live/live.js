// Runs as they happen: asks the server for new events while something runs, and tells panels and table.
// Nothing here starts a rerun of the page except a button, a tick, and the end of a run, after which the page offers more.

import { el } from "../shared/dom.js";
import { csvOf, saveText } from "../shared/download.js";
import { mounted } from "../shared/mounted.js";
import { button } from "../shared/parts.js";
import { loadPlotly } from "../shared/plotly.js";
import { Hand } from "../shared/steady.js";
import { themeOf } from "../shared/theme.js";
import { debounce, oncePerFrame } from "../shared/timing.js";
import { LiveAnswers } from "./answers.js";
import { LiveControls } from "./controls.js";
import { LiveCursor } from "./cursor.js";
import { LiveGroups } from "./groups.js";
import { LiveLegend } from "./legend.js";
import { LivePanels } from "./panels.js";
import { LiveScrub } from "./scrub.js";
import { LiveStory } from "./story.js";
import { RunTable } from "./table.js";
import { LiveView } from "./view.js";
import "./answers.css";
import "../shared/prompt_picture.css";
import "./live.css";

const LIVE = ["queued", "starting", "running"];
const POLL_MS = 500;
const RETRY_MS = 3000;
const MORE_MS = 2000; // that a picture waits for the rest of a long log
const LOOK_MS = 10_000; // between two looks at which recorded runs there are

class LiveLab {
  /** @param {HTMLElement} parent */
  constructor(parent) {
    /** @type {Send} */
    this.setStateValue = () => {};
    /** @type {Send} */
    this.setTriggerValue = () => {};
    /** @type {LiveData} from Python, before anything is drawn */
    this.data = /** @type {any} */ (undefined);
    /** @type {Words} */
    this.words = {};
    /** @type {any} plotly.js, once it is there */
    this.Plotly = undefined;
    /** @type {Map<string, Run>} by id */
    this.runs = new Map();
    /** @type {Set<string>} ids of the runs that are drawn */
    this.shown = new Set();
    /** @type {string[]} what was shown since the server's last word: with any of it the server may still answer */
    this.asked = [];
    this.asking = this.lost = this.closed = this.stale = false;
    /** @type {number | undefined} since when something has come that is not drawn yet */
    this.undrawn = undefined;
    /** @type {string | undefined} which recorded runs there were at the last look */
    this.looked = undefined;
    /** @type {Theme | undefined} of this drawing */
    this.themed = undefined;
    this.toolWords = ""; // with which the tools were built
    this.stopAll = el("button");
    this.note = el("span");
    /** @type {HTMLButtonElement[]} */
    this.savers = [];
    this.host = el("div", { class: "live" });
    this.hand = new Hand(this.host);
    this.view = new LiveView();
    this.groups = new LiveGroups(this);
    this.cursor = new LiveCursor(this);
    this.panels = new LivePanels(this);
    this.controls = new LiveControls(this);
    this.story = new LiveStory(this);
    this.scrub = new LiveScrub(this);
    this.answers = new LiveAnswers(this);
    this.tools = el("div", { class: "live-tools" });
    this.legend = new LiveLegend(this);
    this.table = new RunTable(this);
    this.host.append(
      this.tools,
      this.controls.host,
      this.legend.host,
      this.story.first,
      this.cursor.host,
      this.panels.host,
      this.story.host,
      this.scrub.host,
      this.answers.host,
      this.table.host,
    );
    this.frame = el("div", { class: "live-frame" }, this.host);
    parent.appendChild(this.frame);
    this.sendShown = debounce(250, (/** @type {string[]} */ order) => this.setStateValue("shown", order));
    this.wake = () => {
      if (!document.hidden) this.poll();
    };
    document.addEventListener("visibilitychange", this.wake);
    this.looking = setInterval(() => this.lookAround(), LOOK_MS);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.draw();
    // For what changes the curves alone.
    this.drawSoon = oncePerFrame(() => {
      if (this.data && !this.closed) this.panels.draw();
    });
    this.scheme.addEventListener("change", this.redraw);
    this.observer = new ResizeObserver(debounce(60, () => this.draw(this.panels.resized())));
    this.observer.observe(this.host);
  }

  close() {
    this.closed = true;
    this.hand.close();
    clearTimeout(this.timer);
    clearInterval(this.looking);
    this.observer.disconnect();
    document.removeEventListener("visibilitychange", this.wake);
    this.scheme.removeEventListener("change", this.redraw);
    this.panels.close();
    this.scrub.close();
    this.frame.remove();
  }

  // What the page knows: which runs there are, which are drawn, and the words.
  /** @param {LiveData} data */
  update(data) {
    this.hand.free("data", () => this.know(data));
  }

  /** @param {LiveData} data */
  async know(data) {
    this.data = data;
    this.words = data.labels;
    const before = this.runs;
    this.runs = new Map();
    for (const about of data.runs) {
      /** @type {Run} */
      const run = before.get(about.id) ?? {
        id: about.id,
        about,
        offset: 0,
        events: [],
        steps: [],
        snapshots: about.snapshots,
        status: about.status,
      };
      // The server's word wins when a run has been resumed; otherwise what was polled is newer.
      if (LIVE.includes(about.status) && !LIVE.includes(run.status)) {
        run.status = about.status;
        run.loaded = false;
      }
      run.about = about;
      this.runs.set(run.id, run);
    }
    const told = data.shown.toSorted().join();
    const asked = this.asked.lastIndexOf(told);
    if (asked >= 0)
      this.asked.splice(0, asked); // the answer to a tick; those after it stay as they were set here
    else {
      this.shown = new Set(data.shown);
      if (this.asked.length) this.bringIntoView(data.shown);
      this.asked = [told];
    }
    this.shown = new Set([...this.shown].filter((id) => this.runs.has(id)));
    this.view.write();
    this.panels.build(data.panels);
    this.controls.build();
    this.buildTools();
    this.table.build();
    this.tools.hidden = this.controls.host.hidden = !this.runs.size; // nothing to stop, to keep or to draw otherwise
    this.Plotly ||= await loadPlotly(data.plotly);
    this.draw();
    this.host.dataset.ready = "true";
    this.poll();
  }

  // On a phone the figure is below the button that starts runs.
  /** @param {string[]} ids */
  bringIntoView(ids) {
    const isNew = this.liveRuns().some((run) => ids.includes(run.id));
    if (isNew && this.host.getBoundingClientRect().top > 0.7 * innerHeight)
      this.host.scrollIntoView({ behavior: "smooth" });
  }

  /** @param {Run} run */
  isLive(run) {
    return LIVE.includes(run.status);
  }

  // Oldest first: it is drawn below.
  shownRuns() {
    return [...this.runs.values()].filter((run) => this.shown.has(run.id)).reverse();
  }

  drawnRuns() {
    return this.groups.drawn().flatMap((group) => group.runs);
  }
  theme() {
    this.themed ??= themeOf(this.host);
    return this.themed;
  }
  // Those that can be stopped from here.
  ownLive() {
    return this.liveRuns().filter((run) => !run.about.recorded);
  }
  liveRuns() {
    return [...this.runs.values()].filter((run) => this.isLive(run));
  }

  // ── events ──────────────────────────────────────────────────────────────────────────────────
  async poll() {
    clearTimeout(this.timer);
    if (this.closed || this.asking || document.hidden) return;
    const wanted = [...this.runs.values()]
      .filter((run) => this.isLive(run) || (this.shown.has(run.id) && !run.loaded))
      .slice(0, 100);
    if (!wanted.length) return;
    this.asking = true;
    let pause = POLL_MS;
    try {
      const address = new URL("api/runs/events", document.baseURI);
      for (const run of wanted) address.searchParams.append("from", `${run.id}:${run.offset}`);
      /** @type {{ runs?: RunNews[]; error?: string }} */
      const answer = await (await fetch(address)).json();
      if (!answer.runs) throw new Error(answer.error);
      if (answer.runs.map((news) => this.take(news)).some(Boolean)) this.undrawn ??= performance.now();
      const began = performance.now();
      // Of a long log the next part is asked for at once: curves of a part would be drawn for nothing.
      const more = answer.runs.some((news) => news.more) && began - (this.undrawn ?? began) < MORE_MS;
      if ((this.undrawn !== undefined || this.lost) && !more) {
        this.lost = false;
        this.undrawn = undefined;
        this.draw();
      }
      pause = more ? 0 : Math.max(POLL_MS, 3 * (performance.now() - began)); // drawing takes a quarter of the time
    } catch {
      this.lost = true;
      this.showNote();
      pause = RETRY_MS;
    }
    this.asking = false;
    if (!this.closed) this.timer = setTimeout(() => this.poll(), pause);
  }

  // Runs that other programs train come, begin and end without a word to this page: then it is run again.
  async lookAround() {
    if (this.closed || document.hidden || !this.data) return;
    try {
      const { mark } = await (await fetch(new URL("api/runs/recorded", document.baseURI))).json();
      if (!mark || mark === this.data.mark || mark === this.looked) return;
      this.looked = mark; // once for each change, whatever comes of it
      this.sendAction("look", []);
    } catch {
      // the server is away, which the next poll says
    }
  }

  // True if there is anything new in it.
  /** @param {RunNews} news */
  take(news) {
    const run = this.runs.get(news.id);
    if (!run) return false;
    if (news.error) {
      Object.assign(run, { status: "gone", message: news.error, loaded: true });
      return true;
    }
    const same =
      run.status === news.status && run.stopping === news.stopping && run.place === news.place && !news.events.length;
    if (this.isLive(run) && news.status === "finished") this.sendAction("look", []);
    Object.assign(run, {
      status: news.status,
      stopping: news.stopping,
      place: news.place,
      startsIn: news.starts_in,
      forGood: news.for_good,
      offset: news.next,
    });
    run.loaded = !this.isLive(run) && !news.more && news.alerts !== null; // null: it is being looked at
    for (const event of news.events) {
      if (run.about.recorded && event.type === "start" && event.resumed) takeBack(run, event.step);
      if (event.type === "note") run.notes = { ...run.notes, [event.kind ?? ""]: event.message ?? "" };
      run.events.push(event);
      if (event.type === "step") run.steps.push(event);
      if (event.type === "sample" && !run.snapshots.includes(event.step))
        run.snapshots = [...run.snapshots, event.step];
      run.message = event.type === "failed" ? event.message : undefined;
    }
    if (news.message) run.message = news.message; // also of a run that could not say it itself
    run.collapse = news.collapse ?? undefined;
    // Alerts come when they are worked out, not with a step: the next one may be minutes away.
    const alerts = news.alerts ?? run.alerts;
    const told = JSON.stringify(alerts) !== JSON.stringify(run.alerts);
    run.alerts = alerts;
    return !same || run.loaded || told;
  }

  // ── what is derived from the events ─────────────────────────────────────────────────────────
  /** @param {Run} run */
  step(run) {
    return run.steps.at(-1)?.step ?? run.about.step;
  }
  /** @type {(run: Run, metric: string) => number | undefined} */
  value(run, metric) {
    return run.steps.at(-1)?.metrics[metric] ?? undefined;
  }

  // At a step; of a run that ended before it, nothing.
  /** @type {(run: Run, metric: string, step: number) => number | undefined} */
  valueAt(run, metric, step) {
    return run.steps.find((event) => event.step === step)?.metrics[metric] ?? undefined;
  }

  /** @param {Run} run */
  lastTen(run) {
    const rewards = run.steps
      .slice(-10)
      .map((event) => event.metrics.reward)
      .filter((value) => value !== null);
    return rewards.length ? rewards.reduce((a, b) => a + b) / rewards.length : run.about.reward;
  }

  // How many steps it is to have; of a recorded run that does not say it, those that it has.
  /** @param {Run} run */
  total(run) {
    return run.about.total ?? this.step(run);
  }

  /** @param {Run} run */
  secondsLeft(run) {
    const recent = run.steps.slice(-10);
    if (run.status !== "running" || recent.length < 3 || !run.about.total) return undefined;
    return (
      ((run.about.total - this.step(run)) * (recent[recent.length - 1].time - recent[0].time)) / (recent.length - 1)
    );
  }

  // ── what the reader asks for ────────────────────────────────────────────────────────────────
  /** @type {(ids: string[], on: boolean) => void} */
  setShown(ids, on) {
    for (const id of ids)
      if (on) this.shown.add(id);
      else this.shown.delete(id);
    const order = [...this.runs.keys()].filter((id) => this.shown.has(id));
    this.asked.push(order.toSorted().join());
    this.sendShown(order);
    this.draw();
    this.poll();
  }

  /** @type {(what: string, ids: string[], name?: string) => void} */
  sendAction(what, ids, name) {
    this.setTriggerValue("action", { what, ids, name });
  }

  /** @type {(what: string, ids: string[]) => void} */
  ask(what, ids) {
    for (const id of ids) {
      const run = this.runs.get(id);
      if (run && what === "stop") run.stopping = true;
    }
    this.sendAction(what, ids);
    this.table.fill();
  }

  buildTools() {
    const words = this.words;
    /** @param {string} format */
    const picture = (format) => () => this.panels.save(format);
    const signature = JSON.stringify(words);
    if (signature === this.toolWords) return;
    this.toolWords = signature;
    this.stopAll = button(
      words.stop_all,
      () =>
        this.ask(
          "stop",
          this.ownLive().map((run) => run.id),
        ),
      "stop-all",
    );
    this.note = el("span", { class: "live-note", role: "status", "data-testid": "live-note" });
    this.savers = [
      button("PNG", picture("png"), "save-png"),
      button("SVG", picture("svg"), "save-svg"),
      button("CSV", () => saveText("sapo-viz-runs.csv", csvOf(this.rows()), "text/csv"), "save-csv"),
      button("JSONL", () => saveText("sapo-viz-runs.jsonl", this.lines(), "application/x-ndjson"), "save-jsonl"),
    ];
    this.tools.replaceChildren(this.note, this.stopAll, ...this.savers);
  }

  rows() {
    /** @type {unknown[][]} */
    const rows = [["run", "name", "note", "objective", "seed", "settings", "step", ...this.data.metrics]];
    for (const run of this.shownRuns()) {
      for (const event of run.steps) {
        rows.push([
          run.id,
          run.about.title,
          run.about.note ?? "",
          run.about.objective,
          run.about.seed,
          run.about.differs,
          event.step,
          ...this.data.metrics.map((name) => event.metrics[name] ?? ""),
        ]);
      }
    }
    return rows;
  }

  lines() {
    /** @param {Run} run */
    const about = ({ id, about: { note } }) => (note ? { run: id, note } : { run: id });
    return this.shownRuns()
      .flatMap((run) => run.events.map((event) => `${JSON.stringify({ ...about(run), ...event })}\n`))
      .join("");
  }

  // ── on the screen ───────────────────────────────────────────────────────────────────────────
  /** @param {boolean} curves whether these may look another way than they do */
  draw(curves = true) {
    this.stale ||= curves; // until they are drawn: what waits for a hand may be replaced
    this.hand.free("draw", () => this.drawNow());
  }

  drawNow() {
    if (!this.data || this.closed) return;
    this.themed = undefined;
    const groups = this.groups.all();
    this.legend.fill(groups);
    if (this.stale) this.panels.draw(groups.filter((group) => !group.hidden));
    this.stale = false;
    this.story.fill(groups);
    this.scrub.fill(groups);
    this.answers.fill(groups);
    this.table.fill(groups);
    this.stopAll.disabled = !this.ownLive().some((run) => !run.stopping);
    for (const saver of this.savers) saver.disabled = !this.shownRuns().some((run) => run.steps.length);
    this.showNote();
  }

  showNote() {
    const live = this.liveRuns();
    const left = Math.max(...live.map((run) => this.secondsLeft(run) ?? -1));
    /** @param {string} status */
    const count = (status) => live.filter((run) => run.status === status).length;
    const parts = LIVE.filter((status) => count(status))
      .reverse()
      .map((status) => `${count(status)} ${this.words.status[status]}`);
    if (left >= 0 && !count("queued")) parts.push(this.timeLeft(left));
    const text = this.lost ? this.words.lost : parts.join(", ");
    if (this.note.textContent !== text) this.note.textContent = text;
  }

  /** @param {number} seconds */
  timeLeft(seconds) {
    return this.words.left.replace("{time}", this.duration(seconds));
  }

  /** @param {number} seconds */
  duration(seconds) {
    if (!Number.isFinite(seconds)) return "–";
    if (seconds < 99.5) return `${Math.round(seconds)} s`;
    return seconds < 5940 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
  }
}

// A recorded run goes on from `step`: what it told of later ones holds no longer.
/** @type {(run: Run, step: number) => void} */
function takeBack(run, step) {
  run.steps = run.steps.filter((event) => event.step <= step);
  run.snapshots = run.snapshots.filter((kept) => kept <= step);
  run.gates = run.gates?.filter((row) => row.step <= step);
  run.unread = undefined;
}

export default mounted(LiveLab);
