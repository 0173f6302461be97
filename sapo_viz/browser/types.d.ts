// What Python sends and what modules hand to each other, for JSDoc types: `tsc` reads this, no browser does.

declare module "*.css";

interface Window {
  /** plotly.js 7 once it has loaded; it brings no types of its own. */
  Plotly: any;
  sapoPlotly?: Promise<any>;
}

/** What Streamlit gives a component of its second kind at every change of `data`. */
interface Component {
  parentElement: HTMLElement;
  data: any;
  setStateValue: Send;
  setTriggerValue: Send;
}
type Send = (name: string, value: any) => void;

/** An instance that `mounted` keeps for an element. */
interface Mounted {
  update(data: any): void;
  close(): void;
}

/** [J, c] of a token at log-ratio z: see the head of formulas.js. */
type Pointwise = (z: number, A: number, knobs: Knobs, old?: number) => [number, number];
interface Formula extends Pointwise {
  token?: Pointwise;
  level?: Pointwise;
}
type Knobs = Record<string, number>;

/** What a slider needs of a knob; a knob of the catalogue has more. */
interface KnobRange {
  lo: number;
  hi: number;
  ui_lo: number;
  ui_hi: number;
  scale: string;
  step: number;
}

/** A correction for the sampler as the browser offers it: figures/correction.py. */
interface CorrectionChoice {
  name: string;
  level: "token" | "sequence-sum" | "sequence-mean";
  how: string;
  usual: { low: number; high: number };
  names: string;
}
interface Correction {
  off: string;
  choices: CorrectionChoice[];
  bounds: KnobSpec[];
  nats: number;
  /** of the sequence that is shown, where the file says who drew it */
  log_rho?: { "sequence-sum": number; "sequence-mean": number };
}
type CorrectionValue = { choice: string; low: number; high: number };

/** Words of the interface by their key, some of them in groups; the page says which there are. */
type Words = Record<string, any>;
type Look = { color: string; dash: string };
type Theme = { text: string; background: string; grid: string; font: string };

type Rgb = number[];
type Swatch = { background: string; text: string };
/** 101 shades, from 0 to 1. */
type Ramp = Swatch[];

type Point = [number, number];
/** Value to pixel, with what it was made from. */
interface Axis {
  (value: number): number;
  inverse(pixel: number): number;
  toJSON(): unknown;
  lo: number;
  hi: number;
  from: number;
  to: number;
  log: boolean;
  ticks: number[];
}

/** Tokens by their log-ratios; with `p` the probability of each, else all count the same. */
type Tokens = { z: number[]; p: number[] | null };

/** Steps of a run with two numbers at each; null is a gap. */
type Line = { step: number[]; x: number[]; y: (number | null)[] };

/** What our selectors find has a data set and takes the focus. */
interface ParentNode {
  querySelector(selectors: string): HTMLElement | null;
  querySelectorAll(selectors: string): NodeListOf<HTMLElement>;
}

// ── what every page has (ui/tools.py) ───────────────────────────────────────────────────────────
interface PageToolsData {
  words: Record<"link" | "copied" | "not_copied" | "present" | "leave" | "controls", string>;
  present: boolean;
  /** How often something was chosen that is shown further up. */
  arrive: number;
  /** The day's colours of all objectives' lines. */
  hues: string[];
}

// ── curves (figures/curves.py) ──────────────────────────────────────────────────────────────────
interface CurveObjective extends Look {
  name: string;
  label: string;
  reads_logprobs: boolean;
  knobs: KnobSpec[];
}
interface CurvesData {
  objectives: CurveObjective[];
  rows: string[];
  signs: number[];
  axis: { kind: string; lo: number; hi: number };
  axes: Record<string, { x: string; y: string }>;
  labels: Words;
  /** where the tokens are; without z a Gaussian in log r */
  distribution: { label?: string; z?: number[] } | null;
  readout: boolean;
  compact: boolean;
  correction: Correction | null;
  values: Record<string, any>;
  layouts: { wide: any; narrow: any };
  config: any;
  plotly: string;
  alt: string;
}
/** One objective at one sign, along the ratio: [r, J, w, c] a point; `first` of its traces. */
interface Sampled {
  objective: CurveObjective;
  sign: number;
  points: number[][];
  first: number;
}
interface GateFacts {
  half: number[];
  ninety: number[];
  peak: { r: number; value: number };
  harmful: boolean;
  corrective: boolean;
  /** only where it is known where the tokens are */
  kept?: number;
  tokens?: Tokens;
}
/** What the controls beside the curves see and may ask for. */
interface CurvesHand {
  data: CurvesData;
  values: Record<string, any>;
  readAt: number;
  schedule(moved?: CurveObjective | "tokens"): void;
  released(): void;
  reset(): void;
  draw(): void;
  /** what the correction multiplies the curves by */
  times(): number;
  tokens(): Tokens;
  facts(objective: CurveObjective, sign: number): GateFacts;
}

// ── the exhibits (figures/exhibits/) ────────────────────────────────────────────────────────────
interface ExhibitObjective extends Look {
  name: string;
  label: string;
  level: string;
  reads_logprobs: boolean;
  knobs: KnobSpec[];
}
/** What Python sends to each; `values` are what its controls set, `usual` what they are reset to. */
interface ExhibitData {
  name: string;
  labels: Words;
  values: any;
  usual?: any;
  cases?: ExhibitCase[];
  /** what has an objective's colour, by kind of exhibit */
  color?: string;
  objective?: ExhibitObjective;
  objectives?: ExhibitObjective[];
}
/** Values worth seeing, all of them or a part. */
interface ExhibitCase {
  name: string;
  label: string;
  note: string;
  values: any;
}
interface AsymmetryData extends ExhibitData {
  objective: ExhibitObjective;
  controls: Record<"vocabulary" | "p" | "zipf" | "ratio", KnobSpec>;
  values: {
    numbers: Record<"vocabulary" | "p" | "zipf" | "ratio", number>;
    knobs: Knobs;
    scale: "weight" | "coefficient";
  };
}
type CoherenceNumber = "tau" | "within" | "between" | "sequences" | "length" | "seed";
interface CoherenceData extends ExhibitData {
  controls: Record<CoherenceNumber, KnobSpec>;
  values: { numbers: Record<CoherenceNumber, number>; axes: "linear" | "log"; tail: "normal" | "heavy" };
  color: string;
  /** Log-ratios of a file's response tokens in place of drawn ones, and where each sequence begins. */
  file: { name: string; z: number[]; starts: number[]; ids: string[] } | null;
}
interface OutlierData extends ExhibitData {
  objectives: ExhibitObjective[];
  controls: Record<"ratio" | "more" | "length" | "old", KnobSpec>;
  values: {
    ratios: number[];
    /** further tokens at r = 1 */
    more: number;
    sign: number;
    axis: "linear" | "log";
    show: "weight" | "coefficient";
    old: number;
    knobs: Record<string, Knobs>;
  };
  most: number;
}

// ── of them, the outlier exhibit ────────────────────────────────────────────────────────────────
type TokenWeight = { w: number; c: number; ratio: number };
/** What an objective keeps of the sequence: token by token, and all in all. */
interface OutlierRow {
  objective: ExhibitObjective;
  tokens: TokenWeight[];
  filler: TokenWeight | null;
  kept: number;
  alive: number;
  total: number;
}
/** What the handles see of their exhibit and may ask of it. */
interface OutlierHand {
  data: { controls: { ratio: KnobRange } };
  words: Words;
  values: { ratios: number[]; more: number; axis: string };
  layers: Record<string, SVGElement>;
  svg: SVGElement;
  y: Axis;
  all: OutlierRow[];
  selected: number;
  dragging: { i: number; off: number; moved: boolean } | null;
  setRatio(index: number, value: number): void;
  resize(by: number): void;
  showValues(): void;
  schedule(): void;
  released(): void;
}

// ── the token strip (figures/strip/data.py) ─────────────────────────────────────────────────────
/** Tokens from..to without their first `a` and beyond their last's `b` characters (-1: all of it). */
interface Stretch {
  from: number;
  a: number;
  to: number;
  b: number;
}
interface Paragraph extends Stretch {
  rtl: boolean;
  code: boolean;
  block?: number;
}
/** A line goes on where a paragraph was parted for want of room. */
interface TextLine extends Stretch {
  paragraph: number;
  goesOn: boolean;
}
type Prose = { bits: Uint16Array; paragraphs: Paragraph[] };
/** From token `from` on: whose turn it is, and what it is within that (call, result, thought, image). */
type Block = { from: number; role: string; kind: string };
/** A part of a character at `at` of a token's text; `char` where it begins, "" where it goes on. */
type Half = { at: number; length: number; char: string };
/** How one token is painted; without a swatch it is ink on paper. */
type Painted = { swatch: Swatch | null; look: string };

interface KnobSpec extends KnobRange {
  name: string;
  symbol: string;
  help: string;
  default: number;
}
/** An objective as the strip shows it; `live` ones are computed here, of others Python sends the numbers. */
interface StripObjective extends Look {
  name: string;
  catalogue: string;
  label: string;
  level: string;
  live: boolean;
  /** whether its mean over the sequence is one of its own */
  own_mean: boolean;
  knobs: KnobSpec[];
  /** LaTeX, and cut into pieces for A > 0 and for the rest */
  formula: string;
  pieces: Record<"up" | "down", FormulaPiece[]>;
}
/** TeX as it is, or the place of a number (figures/strip/formula.py). */
type FormulaPiece = string | (({ token: string } | { knob: string }) & { raised?: string });
/** What the server found for a text in a file's other sequences (rollouts/search.py). */
interface Elsewhere {
  text: string;
  sequences: number;
  hits: number;
  /** whether all of them were looked through */
  whole: boolean;
  /** 1 or -1: the strip was sent here from another sequence, to its first place or its last */
  arriving?: number;
}
type StripNumbers = import("./strip/numbers.js").StripNumbers;
/** A number for each token; of what is the same for all, one. */
type Column = Float64Array | Float32Array;
/** As figures/packed.py packed it. */
type Packed = ArrayBuffer | Uint8Array<ArrayBuffer>;
interface StripData {
  /** changes with what is shown, not with how */
  key: string;
  texts: string[];
  ids?: number[];
  count: number;
  log_s: number;
  /** where the part that is shown begins in its sequence, and how long that is */
  first: number;
  total: number;
  /** |z| at which its scale ends */
  limit: number;
  objectives: StripObjective[];
  correction: Correction;
  /** of each objective its knobs */
  values: Record<string, any>;
  scale: Scales;
  /** path of the page's own typesetter, "" without one */
  typesetter: string;
  /** whether the file has no other sequence */
  alone?: boolean;
  elsewhere?: Elsewhere;
  labels: Words;
  arrays: { token: Uint32Array; masked: Uint32Array } & Record<string, Column>;
}
/** Of each token under one objective; `kept` is the share of the gradient. */
type Weighed = {
  w: Column;
  c: Column;
  ratio: Column;
  /** By the objective alone, before the correction for the sampler; the same arrays where there is none. */
  gate: { w: Column; c: Column };
  kept?: number;
  /** Whether it tells tokens apart, and whether some weigh more than 1 or less than 0. */
  varies?: boolean;
  more?: boolean;
  reversed?: boolean;
};

type Scale = { lost: string[]; cut: string; more: string; reversed: string; change: string[] };
type Scales = Record<"light" | "dark", Scale>;
interface ColourScale {
  dark: boolean;
  swatch(value: number): Swatch | null;
  legend(words: Words, several: boolean): (string | Node)[];
  keys(words: Words, seen: { more: boolean; reversed: boolean }): HTMLElement[];
}

// ── runs (figures/live/figure.py, and the events that a run writes) ─────────────────────────────
type Metrics = Record<string, number | null>;
interface Probe {
  prompt: string;
  tokens: string[];
  logprobs: number[];
  start_logprobs: number[];
  reward: number;
}
interface Answer {
  prompt: string;
  completion: string;
  reward: number | null;
}
/** What a finished run was asked, under its number, and what both policies said (ui/training/after.py). */
interface AskedData {
  run: string;
  number: number;
  start: Answer[];
  now: Answer[];
  words: Words;
}
interface RunEvent {
  type: string;
  step: number;
  /** seconds since 1970 */
  time: number;
  /** of a step */
  metrics: Metrics;
  /** of a sample */
  probes?: Probe[];
  answers?: Answer[];
  completion?: string;
  /** of a start: whether it goes on from a checkpoint */
  resumed?: boolean;
  /** of a note or a failure, in a sentence */
  kind?: string;
  message?: string;
}
type Setting = string | number | boolean | null;
/** What the page knows of a run, and how it is drawn (ui/training/runs.py). */
interface RunAbout extends Look {
  id: string;
  title: string;
  /** what a person noted about it */
  note?: string;
  renamed: boolean;
  /** in a folder of the owner's, which is left as it is */
  kept: boolean;
  status: string;
  created: number;
  step: number;
  seconds: number;
  for_good: boolean;
  message: string;
  reward: number | null;
  snapshots: number[];
  /** address of the form with its settings, if it can be filled in so */
  duplicate: string;
  exports: [string, string][];
  objective: string;
  objective_label: string;
  group: string;
  seed: number | null;
  /** steps that it is to have, where that is known */
  total: number | null;
  differs: string;
  settings: Record<string, Setting>;
  knobs: Knobs;
  /** the ratio level at which its gate can be drawn over the ratios */
  gate: string | null;
  reads_logprobs: boolean;
  /** which program trains it, if another one does */
  recorded?: string;
  /** the title of the experiment that asks for such a run */
  experiment?: string;
}
/** What has become worse in a recorded run (experiments/alerts.py). */
interface Alert {
  step: number;
  kind: string;
  sentence: string;
  /** empty where the sentence says it */
  rule: string;
}
/** Where a run broke (experiments/collapse.py): of each metric the value before and in it. */
interface Collapse {
  kind: string;
  step: number;
  told: Record<string, [number | null, number | null]>;
  message: string;
}
/** What the server says of a run since a byte offset (ui/serving/run_routes.py); with `error` nothing else. */
interface RunNews {
  id: string;
  error?: string;
  status: string;
  stopping: boolean;
  message: string;
  for_good: boolean;
  place: number;
  starts_in: number | null;
  collapse: Collapse | null;
  alerts?: Alert[] | null;
  next: number;
  more: boolean;
  events: RunEvent[];
}
/** Of bins of log r: how many tokens or sequences are in each, by the sign of A. */
type Counts = Record<"pos" | "neg", number[]>;
/** How far the tokens of one snapshot had moved (runs/folder/snapshot_ratios.py). */
interface Snapshot {
  step: number;
  levels: Record<string, Counts>;
  damage: string;
  sequences: {
    /** which it is: of the largest move, of the highest reward or the lowest */
    why: "moved" | "best" | "worst";
    index: number;
    start: number;
    prompt: string;
    advantage: number;
    reward: number | null;
    tokens: string[];
    z: number[];
    old: number[];
    log_s: number;
    log_w: number;
  }[];
}
interface Run {
  id: string;
  about: RunAbout;
  status: string;
  /** bytes of its log that were read */
  offset: number;
  events: RunEvent[];
  steps: RunEvent[];
  snapshots: number[];
  loaded?: boolean;
  message?: string;
  notes?: Record<string, string>;
  alerts?: Alert[];
  collapse?: Collapse;
  stopping?: boolean;
  forGood?: boolean;
  place?: number;
  startsIn?: number | null;
  /** in the table: what is being written of it, its deletion confirmed, which step's tokens are opened */
  writing?: "name" | "note";
  confirming?: boolean;
  rollout?: number;
  /** its snapshots as far as they were read, and steps of which there are none after all */
  gates?: Snapshot[];
  unread?: number[];
}
/** Runs that differ by their seed alone. */
interface Group extends Look {
  key: string;
  name: string;
  about: RunAbout;
  pinned: boolean;
  hidden: boolean;
  runs: Run[];
}
interface Series {
  metric: string;
  label: string;
  width: number;
  dots?: boolean;
  looks?: [string, string] | null;
  instead?: { metric: string; label: string };
}
interface PanelSpec {
  name: string;
  label: string;
  about: string[];
  legend: string;
  span: number;
  log: boolean;
  /** drawn only when all metrics are asked for */
  more: boolean;
  /** the metric on the x axis, in place of the steps */
  against: string;
  range: Point | null;
  series: Series[];
  layout: any;
}
interface Panel {
  spec: PanelSpec;
  logy: boolean;
}
/** A panel on the page. */
interface LivePanel extends Panel {
  /** Plotly makes it its own: `on` */
  plot: any;
  host: HTMLElement;
  log: HTMLElement;
  legend: HTMLElement;
  traces: Record<string, any>[];
  layout: any;
  /** how often its y axis was reset */
  turns: number;
  listening: boolean;
}
/** What curves are looked at with: live/view.js. */
interface View {
  x: "step" | "tokens" | "time";
  band: "range" | "sd" | "lines";
  smooth: number;
  /** panels whose y axis is not their usual one */
  logy: string[];
  /** "1": all metrics */
  more: string;
  /** groups of runs */
  hide: string[];
  /** runs */
  pin: string[];
  /** group.place: a colour once given stays */
  shade: string[];
  /** what the table's runs are divided into sections by; "": no sections */
  by: "" | import("./live/sections.js").By;
  /** sections that are folded */
  fold: string[];
  /** step */
  scrub: number | null;
  zoom: Point | null;
}
interface LiveData {
  plotly: string;
  config: any;
  panels: PanelSpec[];
  runs: RunAbout[];
  shown: string[];
  labels: Words;
  settings: Record<string, { label: string; usual: Setting; compared: boolean; names?: Record<string, string> }>;
  /** the rule by which a run has collapsed, in words */
  collapse: string;
  further: Look[];
  /** metric -> its name for people */
  told: Record<string, string>;
  weights: { light: string[]; dark: string[]; above: string };
  metrics: string[];
  /** which recorded runs there are */
  mark: string;
}
/** The figure as its parts see it: live/live.js. */
interface LiveLab {
  data: LiveData;
  words: Words;
  /** plotly.js, once it is there */
  Plotly: any;
  runs: Map<string, Run>;
  /** ids of the runs that are drawn */
  shown: Set<string>;
  hand: import("./shared/steady.js").Hand;
  view: import("./live/view.js").LiveView;
  groups: import("./live/groups.js").LiveGroups;
  answers: import("./live/answers.js").LiveAnswers;
  cursor: import("./live/cursor.js").LiveCursor;
  panels: import("./live/panels.js").LivePanels;
  legend: import("./live/legend.js").LiveLegend;
  story: import("./live/story.js").LiveStory;
  theme(): Theme;
  shownRuns(): Run[];
  drawnRuns(): Run[];
  isLive(run: Run): boolean;
  step(run: Run): number;
  total(run: Run): number;
  value(run: Run, metric: string): number | undefined;
  valueAt(run: Run, metric: string, step: number): number | undefined;
  lastTen(run: Run): number | null;
  secondsLeft(run: Run): number | undefined;
  timeLeft(seconds: number): string;
  duration(seconds: number): string;
  setShown(ids: string[], on: boolean): void;
  sendAction(what: string, ids: string[], name?: string): void;
  ask(what: string, ids: string[]): void;
  draw(): void;
  /** For what changes the curves alone. */
  drawSoon(): void;
}
