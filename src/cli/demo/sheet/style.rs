//! How the contact sheet looks: a darkroom under its red light, film on the light table.
//!
//! No fonts and no pictures from elsewhere. The frames of a strip take their shape from `--w` and
//! `--h`, the strip its columns from `--n`, which the page sets.

pub(super) const STYLE: &str = r#":root {
  color-scheme: dark;
  --red: #ff3b2f;
  --ink: #f3e6dc;
  --dim: #a08878;
  --film: #080505;
  --edge: #e6a23c;
  --serif: "Iowan Old Style", Palatino, "Palatino Linotype", Georgia, "DejaVu Serif", serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
* { box-sizing: border-box; margin: 0; }
body {
  min-height: 100vh;
  padding: clamp(1.25rem, 4vw, 3.5rem) max(clamp(1.25rem, 4vw, 3.5rem), 50vw - 44rem);
  color: var(--ink);
  font: 1rem/1.5 var(--serif);
  background: #150a09 radial-gradient(ellipse 90rem 38rem at 50% -12rem, #6d130c 0, #34100c 45%, #150a09 100%) no-repeat;
}
a { color: inherit; }
code { font-family: var(--mono); }

.top { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: .25rem 2rem; }
h1 { display: flex; align-items: center; gap: .9rem; font-size: clamp(2rem, 5vw, 3.1rem); font-weight: 400; letter-spacing: -.01em; line-height: 1.1; }
.lamp { width: .58em; height: .58em; border-radius: 50%; background: radial-gradient(circle at 40% 35%, #ff9a85, var(--red) 55%, #b3150c); box-shadow: 0 0 .35em #ff3b2fcc, 0 0 1.4em #ff3b2f99; }
.live .lamp { animation: breathe 1s ease-in-out infinite; }
.top p { color: var(--dim); }
.top b { color: var(--ink); font-weight: 400; }
.top a { margin-left: 1.1rem; padding: .3rem .85rem; border: 1px solid #ff3b2f80; border-radius: 2rem; color: #ffb3a8; font: .8rem var(--mono); text-decoration: none; }
.top a:hover { background: var(--red); color: #fff; }

section { margin-top: clamp(2rem, 5vw, 3.5rem); }
h2 { display: flex; align-items: baseline; gap: 1rem; padding-bottom: .5rem; border-bottom: 1px solid #ffffff1c; font-size: 1.15rem; font-weight: 400; }
time { color: var(--dim); font: .78rem var(--mono); }

article { margin-top: 2rem; }
h3 { font-size: 1.25rem; font-weight: 400; font-style: italic; line-height: 1.35; overflow-wrap: anywhere; }
h3 code { margin-left: .35em; padding: .1em .45em; border-radius: .3em; background: #ffffff12; color: var(--dim); font-size: .66em; font-style: normal; white-space: nowrap; }
.facts { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: .15rem 0 .7rem; color: var(--dim); font: .76rem/1.6 var(--mono); }
.status::before { content: "●"; margin-right: .45em; }
.completed { color: #93c49a; }
.processing { color: #ff7a6b; }
.rate_limited { color: var(--edge); }
.failed.status, .canceled.status { color: var(--red); }
.error { margin: -.3rem 0 .7rem; color: #ff9c91; font-size: .9rem; }

/* Frames of every shape cover the same area; a strip is as long as its frames want it to be. */
.strip {
  --side: 17rem;
  --across: calc(var(--side) * sqrt(var(--w) / var(--h)));
  display: grid;
  grid-template-columns: repeat(var(--n), minmax(0, var(--across)));
  width: fit-content;
  max-width: 100%;
  border-radius: 3px;
  overflow: hidden;
  box-shadow: 0 .1rem 0 #ffffff0d, 0 1.2rem 2.6rem -0.8rem #000;
}
figure {
  --hole: url("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 22 18'%3E%3Crect x='6' y='4' width='10' height='11' rx='2.2' fill='%233d1c16'/%3E%3C/svg%3E");
  display: flex;
  flex-direction: column;
  padding: 18px .4rem;
  background: var(--hole) left top / 22px 18px round no-repeat, var(--hole) left bottom / 22px 18px round no-repeat, var(--film);
  background-repeat: round no-repeat;
}
figure > div { position: relative; aspect-ratio: var(--w) / var(--h); overflow: hidden; border-radius: 2px; background: #120a09; }
figure img { display: block; width: 100%; height: 100%; object-fit: cover; transition: transform .5s ease; }
figure a:hover img { transform: scale(1.03); }
figcaption { display: flex; gap: 1em; padding: .3rem .1rem 0; color: #b98535; font: .66rem/1.3 var(--mono); letter-spacing: .04em; white-space: nowrap; }
figcaption b { color: var(--edge); font-weight: 400; }
figcaption b::before { content: "▸ "; }
figcaption span:last-child { margin-left: auto; }

.calling > div { background: radial-gradient(circle at 50% 60%, #a3190f, #33090a 70%); animation: breathe 1s ease-in-out infinite; }
.waiting > div { background: repeating-linear-gradient(135deg, #1a0f0d 0 10px, #160c0b 10px 20px); }
.never > div { background: #0e0808; }
.refused > div, .failed > div { display: grid; place-items: center; padding: 8%; background: #1f0b09; box-shadow: inset 0 0 0 1px #ff3b2f38; }
/* The red grease pencil of whoever went over the sheet. */
.refused > div::before {
  content: "";
  position: absolute;
  inset: 0;
  background: url("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 100 100' preserveAspectRatio='none'%3E%3Cg fill='none' stroke='%23ff3b2f' stroke-width='5' stroke-linecap='round' vector-effect='non-scaling-stroke'%3E%3Cpath vector-effect='non-scaling-stroke' d='M8 12C35 38 62 60 93 89'/%3E%3Cpath vector-effect='non-scaling-stroke' d='M91 9C66 36 36 62 7 92'/%3E%3C/g%3E%3C/svg%3E") center / 100% 100% no-repeat;
  opacity: .5;
}
.refused p, .failed p { position: relative; max-height: 100%; overflow: auto; padding: .5em .7em; border-radius: 2px; background: #1f0b09e6; color: #ffc9c1; font: .78rem/1.4 var(--mono); text-align: center; text-wrap: balance; }
.refused figcaption, .failed figcaption, .refused figcaption b, .failed figcaption b { color: #ff7a6b; }

footer { margin-top: 4rem; color: #7d675a; font-size: .85rem; }
footer code { font-size: .9em; }

@keyframes breathe { 50% { filter: brightness(1.45); } }
@media (max-width: 60rem) {
  .strip { grid-template-columns: repeat(2, minmax(0, var(--across))); }
  .strip:has(> :only-child) { grid-template-columns: minmax(0, var(--across)); }
  figcaption { gap: .6em; letter-spacing: 0; }
  .refused > div, .failed > div { padding: 3%; }
  .refused p, .failed p { padding: .3em .5em; font-size: .66rem; }
}
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; } }
"#;
