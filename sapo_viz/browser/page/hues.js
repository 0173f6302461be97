// The figures that Python draws have the day's colours in their paths. By night these rules give them the night's, as the
// figures drawn here have them, and the day's again when the page's theme changes.

import { onPage, parseColour } from "../shared/colour.js";

/** @type {(colours: string[]) => string} */
export function hueRules(colours) {
  return [...new Set(colours)]
    .flatMap((hex) =>
      ["stroke", "fill"].map(
        (what) =>
          `.stPlotlyChart [style*="${what}: rgb(${parseColour(hex).join(", ")})"]{${what}:${onPage(hex)}!important}`,
      ),
    )
    .join("\n");
}
