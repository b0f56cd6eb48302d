"""The API's reference page: one HTML file without external resources, rendered in the browser from /openapi.json."""

PAGE = r"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Headrace API</title>
<link rel="icon" href="data:,">
<style>
  :root { --ink: #1c2733; --soft: #5b6875; --line: #dde3e9; --panel: #f6f8fa; --water: #0b6e8f; --get: #2b7a4b; }
  * { box-sizing: border-box; }
  body { margin: 0; font: 16px/1.55 system-ui, sans-serif; color: var(--ink); }
  header { background: var(--water); color: #fff; padding: 1.6rem 0; }
  header h1 { margin: 0; font-size: 1.5rem; }
  header a { color: #fff; }
  main, header > div { max-width: 62rem; margin: 0 auto; padding: 0 1.2rem; }
  h2 { margin: 2rem 0 .4rem; font-size: 1.1rem; text-transform: capitalize; }
  code, pre, textarea { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, monospace; }
  code { background: var(--panel); padding: .1em .3em; border-radius: 3px; }
  details { border: 1px solid var(--line); border-radius: 6px; margin: .6rem 0; }
  summary { padding: .6rem .9rem; cursor: pointer; display: flex; gap: .8rem; align-items: baseline; }
  summary .soft { margin-left: auto; }
  .verb { font: 700 12px ui-monospace, monospace; color: #fff; padding: .25rem .5rem; border-radius: 4px; }
  .verb { background: var(--get); } .verb.post { background: var(--water); }
  .inside { padding: 0 .9rem .9rem; border-top: 1px solid var(--line); }
  .soft { color: var(--soft); font-size: .92rem; }
  textarea { width: 100%; min-height: 12rem; border: 1px solid var(--line); border-radius: 4px; padding: .6rem; }
  pre { background: var(--panel); border-radius: 4px; padding: .7rem; overflow: auto; max-height: 26rem; }
  button { background: var(--water); color: #fff; border: 0; border-radius: 4px; padding: .5rem 1.1rem; }
  :focus-visible { outline: 3px solid #f2b134; outline-offset: 1px; }
  table { border-collapse: collapse; width: 100%; font-size: .92rem; }
  td, th { overflow-wrap: anywhere; }
  td, th { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
  .bad { color: #b3261e; } .good { color: var(--get); }
</style>
</head>
<body>
<header><div><h1 id="title">Headrace API</h1>
<span id="version"></span> · <a href="openapi.json">openapi.json</a> ·
<a href="./">state of the problem</a></div></header>
<main><div id="about"></div><div id="operations"><p class="soft">Reading the schema …</p></div></main>
<script>
const make = (tag, attributes = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), attributes);
  element.append(...children);
  return element;
};
// Just enough of Markdown for a description: paragraphs, **bold** and `code`; everything else stays text.
const prose = (text) => (text || "").split(/\n\s*\n/).map((paragraph) => {
  const line = make("p");
  for (const part of paragraph.split(/(\*\*[^*]+\*\*|`[^`]+`)/)) {
    if (part.startsWith("**")) line.append(make("b", { textContent: part.slice(2, -2) }));
    else if (part.startsWith("`")) line.append(make("code", { textContent: part.slice(1, -1) }));
    else line.append(part);
  }
  return line;
});
const resolved = (schema, all) => schema && schema.$ref ? all[schema.$ref.split("/").pop()] : schema || {};
const typeName = (schema, all) => {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map((one) => typeName(one, all)).join(" or ");
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.type === "array") return "list of " + typeName(schema.items || {}, all);
  if (schema.type === "object" && schema.additionalProperties && schema.additionalProperties !== true)
    return "object of " + typeName(schema.additionalProperties, all);
  return schema.type || "any";
};
const fields = (schema, all) => {
  const shape = resolved(schema, all);
  const rows = Object.entries(shape.properties || {}).map(([name, field]) => make("tr", {},
    make("td", {}, make("code", { textContent: name })),
    make("td", { className: "soft", textContent: typeName(field, all) }),
    make("td", {}, ...prose(field.description || resolved(field, all).description).flatMap((p) => [...p.childNodes]))));
  return rows.length ? [make("table", {}, make("tbody", {}, ...rows))] : [];
};
const tryIt = (path, verb, body) => {
  const shown = body && JSON.stringify(body.example ?? {}, null, 2);
  const input = body ? make("textarea", { spellcheck: false, value: shown }) : null;
  if (input) input.setAttribute("aria-label", "Request body");
  const button = make("button", { textContent: "Send" });
  const status = make("p"), output = make("pre", { hidden: true });
  status.setAttribute("role", "status");
  button.onclick = async () => {
    const started = performance.now();
    try {
      const options = input ? { body: input.value, headers: { "Content-Type": "application/json" } } : {};
      const answer = await fetch(path.slice(1), { method: verb.toUpperCase(), ...options });
      const took = Math.round(performance.now() - started);
      status.className = answer.ok ? "good" : "bad";
      status.textContent = `${answer.status} ${answer.statusText} in ${took} ms`;
      const text = await answer.text();
      try { output.textContent = JSON.stringify(JSON.parse(text), null, 2); } catch { output.textContent = text; }
      output.hidden = false;
    } catch (error) { status.className = "bad"; status.textContent = String(error); }
  };
  const asked = input ? [make("p", { className: "soft", textContent: "Request body" }), input] : [];
  return [...asked, button, status, output];
};
const operation = (path, verb, what, all) => {
  const body = what.requestBody && what.requestBody.content["application/json"];
  const answers = Object.entries(what.responses).map(([code, answer]) => make("tr", {},
    make("td", {}, make("code", { textContent: code })), make("td", { textContent: answer.description }),
    make("td", { className: "soft", textContent: typeName(answer.content?.["application/json"]?.schema || {}, all) })));
  const good = what.responses["200"]?.content?.["application/json"]?.schema;
  return make("details", { open: path === "/predict" },
    make("summary", {}, make("span", { className: "verb " + verb, textContent: verb.toUpperCase() }),
      make("code", { textContent: path }), make("span", { className: "soft", textContent: what.summary || "" })),
    make("div", { className: "inside" }, ...prose(what.description), ...tryIt(path, verb, body),
      make("h3", { textContent: "Answer" }), ...fields(good, all),
      make("h3", { textContent: "Status" }), make("table", {}, make("tbody", {}, ...answers))));
};
const show = (schema) => {
  const all = schema.components?.schemas || {}, groups = {};
  document.title = document.querySelector("#title").textContent = schema.info.title;
  document.querySelector("#version").textContent = "version " + schema.info.version;
  document.querySelector("#about").replaceChildren(...prose(schema.info.description));
  for (const [path, verbs] of Object.entries(schema.paths))
    for (const [verb, what] of Object.entries(verbs))
      (groups[what.tags?.[0] || "other"] ??= []).push(operation(path, verb, what, all));
  document.querySelector("#operations").replaceChildren(...Object.entries(groups).flatMap(
    ([name, list]) => [make("h2", { textContent: name }), ...list]));
};
fetch("openapi.json").then((answer) => answer.json()).then(show).catch((error) => {
  document.querySelector("#operations").replaceChildren(make("p", { className: "bad", textContent: String(error) }));
});
</script>
</body>
</html>
"""
