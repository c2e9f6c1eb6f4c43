// Keeps the page alive: fetches it again, puts in place what changed, and says so when it cannot.
"use strict";

(() => {
  const page = document.body.dataset.page;
  const pollMs = Number(document.body.dataset.pollSeconds) * 1000;
  const slowestMs = 15000;
  const timeoutMs = 8000;
  const afterActionMs = 1100; // another process may keep what it read for a second
  const reasons = { 401: "you are signed out", 404: "you are signed out", 409: "somebody else was first" };
  const lost = document.getElementById("lost");
  const failed = document.getElementById("failed");
  const news = document.getElementById("news");
  let seenAt = document.querySelector("#pulse time").textContent;
  let failures = 0;
  let timer = 0;

  // An XMLHttpRequest can parse a document by itself: no text of ours or of a server's becomes markup here.
  function fetchPage() {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("GET", `${page}?live`);
      request.responseType = "document";
      request.timeout = timeoutMs;
      request.onload = () => {
        const fresh = request.response;
        if (request.status === 200 && fresh && fresh.getElementById("verdict")) resolve(fresh);
        else reject(new Error(String(request.status)));
      };
      request.onerror = () => reject(new Error("no answer"));
      request.ontimeout = () => reject(new Error(`no answer within ${timeoutMs / 1000} s`));
      request.send();
    });
  }

  function keyOf(node) {
    return node.nodeType === 1 ? node.id || node.dataset.key || "" : "";
  }

  // What a person opened stays open, what they touch stays the same element.
  function syncAttributes(old, fresh) {
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !(name === "open" && old.localName === "details")) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
  }

  function patch(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== 1) {
      old.nodeValue = fresh.nodeValue;
      return;
    }
    syncAttributes(old, fresh);
    const keyed = new Map([...old.childNodes].filter(keyOf).map((node) => [keyOf(node), node]));
    let place = old.firstChild;
    for (const next of [...fresh.childNodes]) {
      const key = keyOf(next);
      const match = key ? keyed.get(key) : place && !keyOf(place) && place.nodeName === next.nodeName ? place : null;
      if (!match) {
        old.insertBefore(document.importNode(next, true), place);
        continue;
      }
      if (match === place) place = place.nextSibling;
      else old.insertBefore(match, place);
      patch(match, next);
    }
    while (place) {
      const gone = place;
      place = place.nextSibling;
      gone.remove();
    }
  }

  function show(fresh) {
    const before = document.getElementById("headline").textContent;
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(part.id);
      if (next) patch(part, next);
    }
    const after = document.getElementById("headline").textContent;
    if (after !== before) news.textContent = after;
    document.title = fresh.title;
    document.getElementById("icon").href = fresh.getElementById("icon").getAttribute("href");
    seenAt = document.querySelector("#pulse time").textContent;
    document.getElementById("pulse-word").textContent = "Live, as of";
  }

  function found() {
    failures = 0;
    document.body.classList.add("polling");
    document.body.classList.remove("lost");
    lost.hidden = true;
  }

  function missed(error) {
    failures += 1;
    document.body.classList.remove("polling");
    document.body.classList.add("lost");
    document.getElementById("pulse-word").textContent = "Lost, as of";
    document.getElementById("icon").href = `${page}/static/unknown.svg`;
    document.title = `Connection lost · ${document.title.replace(/^Connection lost · /, "")}`;
    const signedOut = error.message === "401" || error.message === "404";
    const why = signedOut ? "You are signed out." : `Connection lost (${error.message}).`;
    const what = signedOut ? "Reload the page to sign in again." : "Trying again by itself.";
    const text = `${why} What you see is as of ${seenAt}. ${what}`;
    if (lost.textContent !== text) lost.textContent = text;
    lost.hidden = false;
  }

  async function poll() {
    clearTimeout(timer);
    try {
      show(await fetchPage());
      found();
    } catch (error) {
      missed(error);
    }
    clearTimeout(timer);
    timer = setTimeout(poll, document.hidden ? slowestMs : Math.min(slowestMs, pollMs * 2 ** Math.min(failures, 4)));
  }

  async function act(form) {
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const answer = await fetch(form.action, { method: "POST", redirect: "manual" });
      if (answer.type !== "opaqueredirect") throw new Error(reasons[answer.status] || `the server answered ${answer.status}`);
      failed.hidden = true;
      news.textContent = `Done: ${button.textContent}`;
      if (document.activeElement === document.body) document.getElementById("alerts-title").focus();
      clearTimeout(timer);
      timer = setTimeout(poll, afterActionMs);
    } catch (error) {
      button.disabled = false;
      failed.textContent = `That did not work: ${error.message}. Look at the alert again before you repeat it.`;
      failed.hidden = false;
    }
  }

  document.addEventListener("submit", (event) => {
    if (!event.target.closest("#alerts")) return;
    event.preventDefault();
    act(event.target);
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) poll();
  });
  timer = setTimeout(poll, pollMs);
  document.body.classList.add("polling");
})();
