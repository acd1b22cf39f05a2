"use strict";
// Beam search as songtitle/search/beam.py has it, for one song, in the same single precision.

(function (root) {
  const add = (a, b) => Math.fround(a + b);

  /** The `count` likeliest ids of a row of logits, best first, of equals the smaller id; nats. */
  function likeliest(logits, count, banned) {
    let peak = -Infinity;
    for (const value of logits) peak = Math.max(peak, value);
    let sum = 0;
    for (const value of logits) sum += Math.exp(value - peak);
    const total = Math.fround(peak + Math.log(sum));
    const order = Array.from(logits.keys()).filter((id) => !banned.has(id));
    order.sort((a, b) => logits[b] - logits[a] || a - b);
    return order.slice(0, count).map((id) => ({ id, gain: Math.fround(logits[id] - total) }));
  }

  /** Ids that may not come next, by the rules of `settings`. */
  function forbidden(tokens, settings, ids) {
    const banned = new Set([ids.pad, ids.bos, ids.unk]);
    if (tokens.length < settings.min_length) banned.add(ids.eos);
    const size = settings.no_repeat_ngram;
    if (size && tokens.length >= size) {
      const begun = tokens.slice(tokens.length - size + 1).join();
      for (let i = 0; i + size <= tokens.length; i++) {
        if (tokens.slice(i, i + size - 1).join() === begun) banned.add(tokens[i + size - 1]);
      }
    }
    return banned;
  }

  /** `total / length ** penalty`, in single precision. */
  function score(beam, penalty) {
    return penalty ? Math.fround(beam.total / Math.fround(beam.length ** penalty)) : beam.total;
  }

  /** Best first; `sort` is stable, so of equals the first stays first. */
  function ranked(beams, penalty) {
    return beams.slice().sort((a, b) => score(b, penalty) - score(a, penalty) || 0);
  }

  /**
   * The hypotheses that a beam meets, best first: `{ tokens, total, finished }`, without `<eos>`.
   *
   * `step(tokens, parents)` gives a promise of one row of logits for each token; `parents` says of
   * which row of the call before (or of the start, 0) each one goes on.
   */
  async function beamSearch(step, settings, ids) {
    const { beam_size: width, max_steps: most, length_penalty: penalty } = settings;
    let beams = [{ tokens: [], total: 0, length: 0, finished: false, row: 0 }];
    let aside = []; // finished, then pushed out
    let last = [ids.bos];
    let parents = [0];
    for (let position = 0; position < most; position++) {
      const rows = await step(last, parents);
      let row = 0;
      const candidates = [];
      for (const beam of beams) {
        if (beam.finished) {
          candidates.push({ ...beam, parent: beam });
          continue;
        }
        const here = row++;
        const banned = forbidden(beam.tokens, settings, ids);
        for (const { id, gain } of likeliest(rows[here], width, banned)) {
          const ends = id === ids.eos;
          candidates.push({
            tokens: ends ? beam.tokens : [...beam.tokens, id],
            total: add(beam.total, gain),
            length: beam.length + 1,
            finished: ends,
            row: here,
            parent: beam,
          });
        }
      }
      const next = ranked(candidates, penalty).slice(0, width);
      const kept = new Set(next.map((beam) => beam.parent));
      const gone = beams.filter((beam) => beam.finished && !kept.has(beam));
      if (gone.length) aside = ranked([...aside, ...gone], penalty).slice(0, width);
      beams = next;
      if (settings.stop === "best") beams = withoutHopeless(beams, aside, settings);
      const live = beams.filter((beam) => !beam.finished);
      if (!live.length || position + 1 === most) break;
      last = live.map((beam) => beam.tokens[beam.tokens.length - 1]);
      parents = live.map((beam) => beam.row);
    }
    if (settings.unfinished === "drop") beams = beams.filter((beam) => beam.finished);
    return ranked([...beams, ...aside], penalty).slice(0, width);
  }

  /** Without the unfinished that cannot come to more than the best finished one. */
  function withoutHopeless(beams, aside, settings) {
    const penalty = settings.length_penalty;
    const done = [...beams.filter((beam) => beam.finished), ...aside];
    const best = Math.max(-Infinity, ...done.map((beam) => score(beam, penalty)));
    const hopeless = (beam) =>
      !beam.finished && score({ ...beam, length: settings.max_steps }, penalty) < best;
    if (penalty && !beams.every((beam) => beam.finished || hopeless(beam))) return beams;
    return beams.filter((beam) => !hopeless(beam));
  }

  root.songtitle = Object.assign(root.songtitle || {}, { beamSearch, likeliest });
})(globalThis);
