// Runs the page's own steps for the tests: node demo_node.js STEP < request.json > answer.json
"use strict";
const path = require("node:path");
const fs = require("node:fs");

const demo = path.join(__dirname, "..", "book", "extra", "demo");
require(path.join(demo, "sound.js"));
require(path.join(demo, "search.js"));

const bytesOf = (text) => {
  const whole = Buffer.from(text, "base64"); // may share its memory, at an odd place
  return new Uint8Array(whole).buffer;
};
const floats = (text) => new Float32Array(bytesOf(text));
const text = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");

const steps = {
  rate: ({ bytes }) => songtitle.rateOf(new Uint8Array(bytesOf(bytes))),
  clip: ({ channels, rate, settings, seconds }) =>
    text(songtitle.clipOf(channels.map(floats), rate, settings, seconds)),
  spectrogram: ({ clip, settings }) => {
    const drawn = songtitle.spectrogram(floats(clip), settings);
    return { ...drawn, pixels: text(drawn.pixels) };
  },
  crop: ({ pixels, width, height, size, seed, names }) => {
    const picture = { pixels: floats(pixels), width, height };
    return names.map((name) => {
      const seen = songtitle.crop(picture, size, name, seed);
      return { ...seen, pixels: text(seen.pixels) };
    });
  },
  // The step is a table: the logits depend on the token and on how many came before.
  search: async ({ tables, settings, ids }) => {
    const answers = [];
    for (const table of tables) {
      const rows = table.map((each) => each.map(floats)); // [position][token]
      let position = 0;
      const step = async (tokens) => {
        const found = tokens.map((token) => rows[position][token]);
        position += 1;
        return found;
      };
      answers.push(await songtitle.beamSearch(step, settings, ids));
    }
    return answers;
  },
};

const request = JSON.parse(fs.readFileSync(0, "utf8"));
Promise.resolve(steps[process.argv[2]](request)).then((answer) => {
  process.stdout.write(JSON.stringify(answer));
});
