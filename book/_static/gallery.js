/* The quiz of the gallery: counts guesses and says what blind guessing would get. Where a page has
   no gallery it does nothing; without it the titles can still be read and the true one revealed.
   Nothing is stored, sent or fetched. */
(function () {
  "use strict";

  const Z = 1.959964; // of a 95 % interval

  function element(tag, attributes, text) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  /* Wilson's 95 % interval of a share, in whole percent. */
  function interval(right, asked) {
    const share = right / asked;
    const scale = 1 + Z * Z / asked;
    const centre = (share + Z * Z / (2 * asked)) / scale;
    const half = Z / scale * Math.sqrt(share * (1 - share) / asked + Z * Z / (4 * asked * asked));
    return [centre - half, centre + half].map((end) => Math.min(1, Math.max(0, end)));
  }

  function percent(share) {
    return `${Math.round(100 * share)} %`;
  }

  /* What a score says about guessing, beside the model's on the same songs. */
  function standing(score) {
    const [low, high] = interval(score.right, score.asked);
    const blind = 1 / score.choices;
    const verdict = low > blind
      ? "That is more than blind guessing explains."
      : high < blind
        ? "That is less than blind guessing gets."
        : "Blind guessing may do as well.";
    return `${score.right} of ${score.asked} right; the model would have ${score.model}, blind ` +
      `guessing ${(score.asked * blind).toFixed(1)}. 95 % interval of your share: ` +
      `${percent(low)} to ${percent(high)}, where guessing gets ${percent(blind)}. ${verdict}`;
  }

  function shuffle(quiz, before) {
    const labels = Array.from(quiz.querySelectorAll("label"));
    for (let last = labels.length - 1; last > 0; last -= 1) {
      const other = Math.floor(Math.random() * (last + 1));
      [labels[last], labels[other]] = [labels[other], labels[last]];
    }
    labels.forEach((label) => quiz.insertBefore(label, before));
  }

  function ask(quiz, score, tally) {
    const button = element("button", { type: "button" }, "Check my guess");
    const verdict = element("p", { class: "song-verdict", role: "status" });
    const radios = Array.from(quiz.querySelectorAll("input"));
    quiz.append(button, verdict);
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-disabled") === "true") return;
      const chosen = radios.find((radio) => radio.checked);
      if (!chosen) {
        verdict.textContent = "Choose a title first.";
        return;
      }
      const right = chosen.value === quiz.dataset.answer;
      score.asked += 1;
      score.right += right;
      score.model += quiz.dataset.pick === quiz.dataset.answer;
      score.choices = radios.length;
      radios.forEach((radio) => { radio.disabled = true; });
      button.setAttribute("aria-disabled", "true");
      const answer = radios.find((radio) => radio.value === quiz.dataset.answer).parentElement;
      const title = answer.querySelector("bdi").textContent;
      tally.textContent = `Your score: ${standing(score)}`;
      answer.classList.add("song-answer");
      const outcome = element("strong", {}, `${right ? "Right" : "Wrong"}: it is “${title}”`);
      verdict.replaceChildren(outcome, element("br", {}), `So far ${standing(score)}`);
    });
    return function restart() {
      radios.forEach((radio) => {
        radio.disabled = false;
        radio.checked = false;
        radio.parentElement.classList.remove("song-answer");
      });
      button.removeAttribute("aria-disabled");
      verdict.textContent = "";
      shuffle(quiz, button);
    };
  }

  /* A button that plays just what the network was shown. */
  function part(audio) {
    const from = Number(audio.dataset.from);
    const to = Number(audio.dataset.to);
    const button = element("button", { type: "button" }, "Play only the network’s part");
    let alone = false;
    button.addEventListener("click", () => {
      alone = true;
      audio.currentTime = from;
      audio.play();
    });
    audio.addEventListener("timeupdate", () => {
      if (alone && audio.currentTime >= to) {
        alone = false;
        audio.pause();
      }
    });
    audio.addEventListener("pause", () => { alone = false; });
    audio.after(button);
  }

  function begin() {
    document.querySelectorAll(".gallery").forEach((gallery) => {
      const quizzes = Array.from(gallery.querySelectorAll(".song-quiz"));
      if (!quizzes.length) return;
      const score = { asked: 0, right: 0, model: 0, choices: 4 };
      const tally = element("p", {}, "Your score: no guess yet.");
      const restarts = quizzes.map((quiz) => ask(quiz, score, tally));
      gallery.querySelectorAll("audio").forEach(part);
      const again = element("button", { type: "button" }, "Begin again, titles shuffled");
      again.addEventListener("click", () => {
        Object.assign(score, { asked: 0, right: 0, model: 0 });
        restarts.forEach((restart) => restart());
        tally.textContent = "Your score: no guess yet.";
      });
      const foot = element("div", { class: "song-tally" });
      foot.append(tally, again);
      gallery.append(foot);
    });
  }

  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", begin);
  } else {
    begin();
  }
})();
