/**
 * The style sheet of the HTML report. Colours are custom properties with a light and a dark set; paper is always light.
 * Every colour of lines and parts has at least 4.5:1 against the page, so that text may use it and stand on it.
 */

/** Custom properties for light and print, and for dark screens. */
export const LIGHT: Readonly<Record<string, string>> = {
  paper: '#fdfdfb', card: '#f3f4f1', ink: '#1b2027', soft: '#515b66', rule: '#d5d9d6', strong: '#7b858f',
  focus: '#0a58ca', accent: '#0b5a8f',
  s0: '#0b62a8', s1: '#b84300', s2: '#00735a', s3: '#85388c', s4: '#7d5f00', s5: '#b3246d', s6: '#48546b',
  s7: '#00707f',
  'cause-0': '#00707f', 'cause-1': '#7d5f00', 'cause-2': '#b23a1e', 'cause-3': '#59636e',
  'cause-4': '#85388c', 'cause-5': '#2f6b1f', 'cause-6': '#48546b', 'cause-7': '#0b62a8', 'cause-8': '#b3246d', 'cause-9': '#8a4b12',
  'kind-0': '#0b62a8', 'kind-1': '#b84300', 'kind-2': '#00735a', block: '#66707c', empty: '#e9ebe7',
};

/** The same names for dark screens. */
export const DARK: Readonly<Record<string, string>> = {
  paper: '#14181d', card: '#1d232a', ink: '#e8ebee', soft: '#aab3bd', rule: '#333b44', strong: '#7f8a95',
  focus: '#8ec5ff', accent: '#7cc0f2',
  s0: '#68b1f5', s1: '#ff9257', s2: '#3ccb9f', s3: '#d797e2', s4: '#e3bd43', s5: '#ff8cbb', s6: '#b4bfcc',
  s7: '#5fd4e3',
  'cause-0': '#5fd4e3', 'cause-1': '#e3bd43', 'cause-2': '#ff9257', 'cause-3': '#a5b0bb',
  'cause-4': '#d797e2', 'cause-5': '#8fd06a', 'cause-6': '#b4bfcc', 'cause-7': '#68b1f5', 'cause-8': '#ff8cbb', 'cause-9': '#e0a77a',
  'kind-0': '#68b1f5', 'kind-1': '#ff9257', 'kind-2': '#3ccb9f', block: '#9aa6b2', empty: '#262d35',
};

/** A ramp of one blue for things in order, few to many; with outlines it works on both backgrounds. */
export const RAMP: readonly (readonly [fill: string, text: string])[] = [
  ['#e4eef8', '#1b2027'], ['#bcd7ee', '#1b2027'], ['#84b4de', '#1b2027'],
  ['#2f74b3', '#ffffff'], ['#1c558c', '#ffffff'], ['#0e3559', '#ffffff'],
];

function properties(theme: Readonly<Record<string, string>>): string {
  return Object.entries(theme).map(([name, value]) => `--${name}:${value}`).join(';');
}

function painted(names: readonly string[]): string {
  return names.map((name) => `.${name}{fill:var(--${name})}.on-${name}{fill:var(--paper)}`).join('\n');
}

const RULES = `
*{box-sizing:border-box}
html{color-scheme:light dark;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"Noto Sans","DejaVu Sans",sans-serif}
header,main,footer{max-width:61rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2.5rem}
footer{padding-bottom:3rem;color:var(--soft);font-size:.875rem}
footer h2{color:var(--ink)}
.skip{position:absolute;left:-999rem;top:0;padding:.6rem 1rem;background:var(--paper);color:var(--focus);z-index:1}
.skip:focus{left:.5rem;top:.5rem}
:focus-visible{outline:3px solid var(--focus);outline-offset:3px;border-radius:2px}
.kicker{margin:0;color:var(--soft);font-size:.8125rem;letter-spacing:.08em;text-transform:uppercase}
h1{margin:.2rem 0 .8rem;font-size:clamp(1.5rem,1.1rem + 2vw,2.25rem);line-height:1.2;overflow-wrap:anywhere;
letter-spacing:-.01em}
h2{margin:3rem 0 .4rem;padding-top:1.2rem;border-top:2px solid var(--ink);font-size:1.375rem;line-height:1.25}
h3{margin:0;font-size:1.0625rem;line-height:1.35}
p{margin:.5rem 0;max-width:44rem}
.headline{font-size:clamp(1.0625rem,1rem + .5vw,1.3rem);line-height:1.45;margin:0 0 1.2rem;overflow-wrap:anywhere}
a{color:var(--accent)}
nav ul,.legend{list-style:none;margin:.6rem 0;padding:0;display:flex;flex-wrap:wrap;gap:.3rem 1.2rem}
nav a{display:inline-block;padding:.25rem 0}
.facts{display:grid;grid-template-columns:repeat(4,1fr);gap:1px;margin:1.5rem 0 0;
background:var(--rule);border:1px solid var(--rule)}
.facts div{background:var(--paper);padding:.8rem 1rem}
.facts dt{color:var(--soft);font-size:.8125rem}
.facts dd{margin:0}
.facts strong{display:block;font-size:1.5rem;font-weight:600;line-height:1.3;font-variant-numeric:tabular-nums}
.facts span{display:block;color:var(--soft);font-size:.8125rem;line-height:1.4}
figure{margin:1.8rem 0 2.2rem;min-width:0}
.legend{font-size:.875rem;color:var(--ink)}
.legend li{display:inline-flex;align-items:center;gap:.45rem}
.swatch{flex:none}
.stage{margin:.4rem 0 0;touch-action:pan-y}
svg{display:block;max-width:100%}
.stage svg{width:100%;height:auto}
.narrow{display:none;max-width:35rem}
.defs{position:absolute;width:0;height:0}
.empty{color:var(--soft)}
.readout{margin:.55rem 0 0;min-height:1.6em;font-size:.875rem;color:var(--soft);font-variant-numeric:tabular-nums}
.readout.live{color:var(--ink);font-weight:600}
details{margin:.4rem 0 0;font-size:.875rem}
summary{cursor:pointer;color:var(--accent);width:fit-content;padding:.25rem 0}
.scroll{overflow:auto;margin:.6rem 0;border:1px solid var(--rule)}
details .scroll{max-height:30rem}
table{border-collapse:collapse;font-size:.875rem;line-height:1.4;font-variant-numeric:tabular-nums;width:100%}
th,td{padding:.4rem .6rem;text-align:right;border-bottom:1px solid var(--rule)}
td{white-space:nowrap}
thead th{vertical-align:bottom;font-weight:600;color:var(--soft);background:var(--card);position:sticky;top:0;z-index:1;
}
tbody th{text-align:left;font-weight:600;background:var(--paper);position:sticky;left:0;white-space:nowrap}
thead th:first-child{text-align:left;left:0;z-index:2}
tbody tr:last-child>*{border-bottom:0}
.words{display:inline-block;white-space:normal;text-align:left;min-width:9rem}
.words span{white-space:nowrap}
th:has(.words),td:has(.words){text-align:left}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
dl.terms{margin:.8rem 0}
.findings{margin:1rem 0;padding:0;list-style:none}
.findings li{margin:0 0 1.1rem;padding:.1rem 0 .1rem 1rem;border-left:3px solid var(--accent);max-width:46rem}
.findings h4{margin:0;font-size:1rem}
.findings p{margin:.2rem 0;max-width:none}
.terms dt{font-weight:600;color:var(--ink)}
.terms dd{margin:0 0 .7rem;max-width:44rem}
`;

const DRAWING = `
svg text{fill:var(--ink);font:12.5px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;
font-variant-numeric:tabular-nums}
svg .tick,svg .title{fill:var(--soft)}
svg .small{font-size:11px;fill:var(--soft)}
svg .address{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:12px}
svg .end{text-anchor:end}
svg .mid{text-anchor:middle}
svg .value{font-weight:600}
.grid{stroke:var(--rule);stroke-width:1;fill:none}
.axis{stroke:var(--strong);stroke-width:1;fill:none}
.line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round;stroke-linecap:butt}
.marker{fill:var(--c);stroke:var(--paper);stroke-width:1}
.leader{fill:none;stroke:var(--c);stroke-width:1;opacity:.6}
svg .names text{fill:var(--c)}
.part{stroke:var(--paper);stroke-width:1}
[class*="ramp-"].part{stroke:var(--strong)}
.chip{stroke:none}
.hatch{pointer-events:none}
.hatches path,.hatches circle{stroke:var(--paper);stroke-width:1.4;fill:none;opacity:.6}
.outline{fill:var(--empty);stroke:var(--strong);stroke-width:1}
.gap path{fill:none;stroke:var(--strong);stroke-width:1}
.cursor{fill:none;stroke:var(--ink);stroke-width:2.5;pointer-events:none}
.halo{fill:none;stroke:var(--paper);stroke-width:5;pointer-events:none}
.stage.picked .series:not(.on){opacity:.3}
`;

const ADAPTING = `
@media (max-width:44.99rem){tbody th{white-space:normal;min-width:7rem;max-width:9rem;overflow-wrap:anywhere}
.readout{min-height:3.1em}.stage .wide{display:none}.stage .narrow{display:block}header{padding-top:1.5rem}
.facts{grid-template-columns:repeat(2,1fr)}.facts div{padding:.6rem .8rem}
header,main,footer{padding-left:1rem;padding-right:1rem}}
@media print{:root{--paper:#fff}body{font-size:10.5pt}section>p:first-of-type{break-after:avoid}
.facts{grid-template-columns:repeat(4,1fr)}
.skip,nav,.readout,details:not([open]),details>summary{display:none!important}
.stage .wide{display:block}.stage .narrow{display:none}figure,.facts,tr{break-inside:avoid}h2,h3{break-after:avoid}
.scroll,details .scroll{overflow:visible;max-height:none}thead th,tbody th{position:static}table{font-size:8pt}
th,td{padding:.25rem .35rem}thead th,tbody th{min-width:0}.words{min-width:0}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}header,main,footer{max-width:none;padding:0}}
`;

/** The whole sheet. */
export const PAGE_STYLE = [
  `:root{${properties(LIGHT)}}`,
  `@media screen and (prefers-color-scheme:dark){:root{${properties(DARK)}}}`,
  RULES, DRAWING,
  Array.from({ length: 8 }, (_, i) => `.c${i}{--c:var(--s${i})}`).join(''),
  painted(Object.keys(LIGHT).filter((name) => /^(?:cause-\d|kind-\d|block)$/.test(name))),
  RAMP.map(([fill, text], i) => `.ramp-${i}{fill:${fill}}svg .on-ramp-${i}{fill:${text}}`).join('\n'),
  'svg [class*="on-cause"]{fill:var(--paper)}',
  ADAPTING,
].join('\n');
