"use strict";

// The page is complete without this script: it adds the theme, the place in the contents, the
// origin in the examples, and the forms that send requests.

document.documentElement.classList.add("scripted");

for (const pre of document.querySelectorAll("pre code")) {
  if (pre.textContent.startsWith("curl ")) {
    pre.textContent = pre.textContent.replace("http://127.0.0.1:8080", location.origin);
  }
}

const narrow = matchMedia("(max-width: 52rem)");
const contents = document.querySelector("nav details");
function fold() { contents.open = !narrow.matches; }
narrow.addEventListener("change", fold);
fold();
contents.addEventListener("click", (event) => {
  if (narrow.matches && event.target.closest("a")) contents.open = false;
});

const theme = document.getElementById("theme");
function setTheme(name) {
  document.documentElement.dataset.theme = name;
  theme.textContent = name === "dark" ? "Light" : "Dark";
}
const preferred = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
setTheme(localStorage.getItem("theme") ?? preferred);
theme.hidden = false;
theme.addEventListener("click", () => {
  const other = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", other);
  setTheme(other);
});

// Kept nowhere: it is gone with the page.
const key = document.getElementById("key");
key.hidden = false;

const links = new Map();
for (const link of document.querySelectorAll("nav a")) links.set(link.hash.slice(1), link);
const shown = new Set();
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) shown.add(entry.target.id);
    else shown.delete(entry.target.id);
  }
  const first = [...links.keys()].find((id) => shown.has(id));
  for (const [id, link] of links) {
    if (id !== first) link.removeAttribute("aria-current");
    else link.setAttribute("aria-current", "true");
  }
}, { rootMargin: "-5% 0px -60% 0px" });
for (const id of links.keys()) watcher.observe(document.getElementById(id));

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

async function send(form, outcome) {
  const query = new URLSearchParams();
  const headers = {};
  let path = form.dataset.path;
  for (const input of form.querySelectorAll("input")) {
    if (input.dataset.place === "path") {
      path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
    } else if (input.value !== "" && input.dataset.place === "query") {
      query.set(input.name, input.value);
    } else if (input.value !== "") {
      headers[input.name] = input.value;
    }
  }
  if (key.value !== "") headers.Authorization = `Bearer ${key.value.trim()}`;
  const body = form.querySelector("textarea")?.value;
  if (body !== undefined) headers["Content-Type"] = form.dataset.type;
  const url = query.size > 0 ? `${path}?${query}` : path;
  const began = performance.now();
  try {
    const answer = await fetch(url, { method: form.dataset.method, headers, body });
    const text = await answer.text();
    const took = `${Math.round(performance.now() - began)} ms`;
    const line = element("p", `${answer.status} ${answer.statusText}, ${took}`);
    const pre = document.createElement("pre");
    pre.append(element("code", pretty(text)));
    outcome.replaceChildren(line, pre);
  } catch (error) {
    outcome.replaceChildren(element("p", `No answer: ${error.message}`));
  }
}

for (const form of document.querySelectorAll(".trial form")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form, form.nextElementSibling);
  });
}
