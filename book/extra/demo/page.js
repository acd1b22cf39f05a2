"use strict";
// The page: takes a file, shows what the worker finds. Nothing leaves this machine.

(function () {
  const MOST_BYTES = 50e6; // a browser decodes the whole file, at about ten times its size
  const LEAST_SECONDS = 0.5;
  const at = document.currentScript.src.replace(/[^/]*$/, "");
  const one = (id) => document.getElementById(`demo-${id}`);
  const [file, drop, status, player] = ["file", "drop", "status", "player"].map(one);
  const number = (value, digits) => value.toFixed(digits).replace("-", "−");
  const counted = (value) => value.toLocaleString("en");
  let worker = null;
  let facts = null; // model.json
  let current = ""; // the name of the song that is being named
  let job = 0; // its number: what comes late of an earlier one is passed over

  function say(text, kind = "") {
    status.textContent = text;
    status.dataset.kind = kind;
  }

  /** The channels of a file at its own rate, no more of them than the model hears. */
  async function decode(chosen) {
    const bytes = await chosen.arrayBuffer();
    const rate = songtitle.rateOf(new Uint8Array(bytes)) || 44100;
    let context;
    try {
      context = new OfflineAudioContext(1, 1, rate);
    } catch {
      context = new OfflineAudioContext(1, 1, 44100); // the browser resamples
    }
    let sound;
    try {
      sound = await context.decodeAudioData(bytes);
    } catch {
      throw new RangeError("expected a music file, got nothing that this browser can play");
    }
    if (sound.duration < LEAST_SECONDS) {
      throw new RangeError(`expected at least ${LEAST_SECONDS} s of sound, got ${number(sound.duration, 2)} s`);
    }
    const wanted = Math.ceil(facts.seconds * sound.sampleRate);
    const channels = Array.from({ length: sound.numberOfChannels }, (_, i) =>
      sound.getChannelData(i).slice(0, wanted),
    );
    return { channels, rate: sound.sampleRate };
  }

  async function take(chosen) {
    if (!chosen) return;
    const mine = ++job;
    current = chosen.name;
    clear();
    say(`Reading ${current} …`);
    try {
      facts = facts || (await (await fetch(`${at}model/model.json`)).json());
      if (chosen.size > MOST_BYTES) {
        const megabytes = Math.round(chosen.size / 1e6);
        throw new RangeError(`expected at most ${MOST_BYTES / 1e6} MB, got ${megabytes} MB; cut it`);
      }
      const { channels, rate } = await decode(chosen);
      if (mine !== job) return;
      if (player.src) URL.revokeObjectURL(player.src);
      player.src = URL.createObjectURL(chosen);
      player.hidden = false;
      worker = worker || begin();
      const buffers = channels.map((each) => each.buffer);
      worker.postMessage({ job, channels, rate, name: current }, buffers);
    } catch (error) {
      if (mine === job) say(`${current}: ${error.message}`, "error");
    }
  }

  function begin() {
    const started = new Worker(`${at}worker.js`);
    started.onmessage = ({ data }) => {
      if (data.job !== job) return;
      if (data.kind === "status") say(data.text);
      if (data.kind === "picture") draw(data);
      if (data.kind === "titles") list(data.titles);
      if (data.kind === "error") say(`${current}: ${data.text}`, "error");
    };
    started.onerror = () => say("This browser could not start the model; a newer one may.", "error");
    return started;
  }

  function clear() {
    one("titles").replaceChildren();
    one("result").hidden = true;
    one("picture").hidden = true;
    player.hidden = true;
  }

  /** The whole spectrogram, the square that the network sees framed. */
  function draw({ pixels, width, height, left, size }) {
    const canvas = one("spectrogram");
    const seen = Math.min(size, width - left);
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    pixels.forEach((value, i) => {
      const grey = Math.round(255 * value);
      image.data.set([grey, grey, grey, 255], 4 * i);
    });
    context.putImageData(image, 0, 0);
    context.strokeStyle = "#ffa500";
    context.lineWidth = Math.max(4, width / 250);
    context.strokeRect(left, 2, seen, height - 4);
    const { sample_rate: rate, hop_length: hop, n_fft: points } = facts.spectrogram;
    const time = (frame) => number((frame * hop) / rate, 1);
    let loudest = 0;
    for (let i = 0; i < pixels.length; i++) if (pixels[i] > pixels[loudest]) loudest = i;
    const bin = height - 1 - Math.floor(loudest / width);
    const text =
      `Spectrogram of ${current}: ${time(width)} s, 0 to ${counted(rate / 2)} Hz, loudest near ` +
      `${counted(Math.round((bin * rate) / points))} Hz at ${time(loudest % width)} s. ` +
      `The network sees what is framed, ${time(left)} s to ${time(left + seen)} s.`;
    canvas.setAttribute("aria-label", text);
    one("seen").textContent = text;
    one("picture").hidden = false;
  }

  function list(titles) {
    const items = titles.map(({ title, logProb }) => {
      const item = document.createElement("li");
      item.dataset.title = title;
      item.dataset.logProb = String(logProb);
      const name = document.createElement("strong");
      name.textContent = title || "(no word)";
      const count = Object.hasOwn(facts.said, title) ? facts.said[title] : 0;
      const others = `also among the five of ${counted(count)} of ${counted(facts.songs)} test songs`;
      const rest = `log-probability ${number(logProb, 2)} nats; ${others}`;
      item.append(name, document.createElement("br"), rest);
      return item;
    });
    one("titles").replaceChildren(...items);
    one("result").hidden = false;
    say(`${titles.length} titles for ${current}. The first: ${titles[0].title}.`);
  }

  /** What chance scores, and how near these titles are to Python's: from the run's records. */
  function explain() {
    const { score, low, high, chance, p, items } = facts.chance;
    const { songs, same_first: first, same_five: five } = facts.agreement;
    const better = p < 0.05 && score > chance;
    one("chance").textContent =
      `Over ${counted(items)} test songs the first title scores ${number(score, 4)} BLEU-1 ` +
      `(95 % interval ${number(low, 4)} to ${number(high, 4)}). The same titles dealt out among ` +
      `the songs at random score ${number(chance, 4)}. p = ${number(p, 3)}: ` +
      (better ? "more than chance, by very little." : "no better than chance.");
    one("near").textContent =
      `The model is stored in 16-bit numbers to keep the page small. On ${counted(five)} of ` +
      `${counted(songs)} test songs its five titles are exactly those of the full model in ` +
      `Python; on ${counted(first)} the first one is.`;
  }

  function listen() {
    file.disabled = false;
    file.addEventListener("click", () => { file.value = ""; }); // the same file once more
    file.addEventListener("change", () => take(file.files[0]));
    for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
      drop.addEventListener(kind, (event) => {
        event.preventDefault();
        drop.classList.toggle("demo-over", kind === "dragenter" || kind === "dragover");
        if (kind === "drop") take(event.dataTransfer.files[0]);
      });
    }
    for (const button of document.querySelectorAll("[data-example]")) {
      button.disabled = false;
      button.addEventListener("click", async () => {
        const name = button.dataset.example;
        try {
          const response = await fetch(`${at}model/${name}`);
          if (!response.ok) throw new Error(`the server answers ${response.status}`);
          take(new File([await response.blob()], name));
        } catch (error) {
          say(`${name}: ${error.message}`, "error");
        }
      });
    }
  }

  async function start() {
    if (location.protocol === "file:") {
      say("A browser does not run the model from a file on disk. Serve the book: make serve.", "error");
      return;
    }
    if (!window.Worker || !window.WebAssembly || !window.DecompressionStream) {
      say("This browser is too old to run the model; one of 2023 or later can.", "error");
      return;
    }
    try {
      facts = await (await fetch(`${at}model/model.json`)).json();
      explain();
      listen();
      say("Ready. Choose a file, or try an example.");
    } catch {
      say("The model is not here: build the book with make book.", "error");
    }
  }

  start();
})();
