"use strict";
// From a sound to what the network sees, step by step as songtitle/audio.py and images.py have it.
// No page is needed: a worker runs this, and so do the tests.

(function (root) {
  // -- how many samples a second a file has: a browser decodes at any rate but does not tell --------

  const MP3_RATES = { 3: [44100, 48000, 32000], 2: [22050, 24000, 16000], 0: [11025, 12000, 8000] };

  /** The sample rate (Hz) that the beginning of a wav, flac, ogg or mp3 file states, or null. */
  function rateOf(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const text = (at, count) => String.fromCharCode(...bytes.subarray(at, at + count));
    if (text(0, 4) === "RIFF") {
      for (let at = 12; at + 16 <= bytes.length; ) {
        if (text(at, 4) === "fmt ") return view.getUint32(at + 12, true);
        at += 8 + view.getUint32(at + 4, true) + (view.getUint32(at + 4, true) % 2);
      }
      return null;
    }
    if (text(0, 4) === "fLaC" && bytes.length > 21) return (view.getUint32(18) >>> 12) & 0xfffff;
    if (text(0, 4) === "OggS" && bytes.length > 60) {
      const body = 27 + bytes[26];
      if (text(body + 1, 6) === "vorbis") return view.getUint32(body + 12, true);
      if (text(body, 8) === "OpusHead") return 48000;
      if (text(body + 1, 4) === "FLAC") return (view.getUint32(body + 27) >>> 12) & 0xfffff;
      return null;
    }
    let at = 0;
    if (text(0, 3) === "ID3") {
      at = 10 + ((bytes[6] << 21) | (bytes[7] << 14) | (bytes[8] << 7) | bytes[9]);
    }
    for (const end = Math.min(bytes.length - 3, at + 65536); at < end; at++) {
      if (bytes[at] !== 0xff || (bytes[at + 1] & 0xe6) !== 0xe2) continue; // layer III
      const rates = MP3_RATES[(bytes[at + 1] >> 3) & 3];
      const rate = rates && rates[(bytes[at + 2] >> 2) & 3];
      if (rate && bytes[at + 2] >> 4 < 15) return rate;
    }
    return null;
  }

  // -- samples ---------------------------------------------------------------------------------------

  /** The mean of the channels, of the first `wanted` samples, in single precision as Python has it. */
  function mix(channels, wanted) {
    const count = Math.min(wanted, channels[0].length);
    const mono = channels[0].slice(0, count);
    for (const other of channels.slice(1)) for (let i = 0; i < count; i++) mono[i] += other[i];
    const share = Math.fround(1 / channels.length);
    if (channels.length > 1) for (let i = 0; i < count; i++) mono[i] *= share;
    return mono;
  }

  /** Modified Bessel function of order zero. */
  function bessel(x) {
    let term = 1;
    let sum = 1;
    for (let n = 1; term > sum * 1e-17; n++) sum += term *= (x * x) / (4 * n * n);
    return sum;
  }

  // The filter of soxr's "HQ", measured: a sinc under a Kaiser window. One stage where one rate is a
  // multiple of the other (to 1e-7 of soxr), else what its two stages come to (to 2e-4).
  const ONE_STAGE = { cutoff: 0.956872, beta: 13.03989, reach: 97.2495 };
  const TWO_STAGES = { cutoff: 0.9568396, beta: 15.8, reach: 109.6 };

  /** `sound` at another rate, in samples a second. */
  function resample(sound, from, to) {
    if (from === to) return Float32Array.from(sound);
    let divisor = from;
    for (let rest = to; rest; ) [divisor, rest] = [rest, divisor % rest];
    const up = to / divisor;
    const down = from / divisor;
    const filter = up === 1 || down === 1 ? ONE_STAGE : TWO_STAGES;
    const narrow = Math.min(1, to / from);
    const reach = filter.reach / narrow; // in samples of `sound`
    const side = Math.ceil(reach);
    const taps = 2 * side + 1;
    const kernels = new Float64Array(up * taps);
    const peak = bessel(filter.beta);
    for (let phase = 0; phase < up; phase++) {
      let sum = 0;
      for (let tap = 0; tap < taps; tap++) {
        const time = phase / up - (tap - side);
        const inside = 1 - (time / reach) ** 2;
        const angle = Math.PI * time * narrow * filter.cutoff;
        const wave = angle === 0 ? 1 : Math.sin(angle) / angle;
        const value = inside > 0 ? wave * bessel(filter.beta * Math.sqrt(inside)) / peak : 0;
        kernels[phase * taps + tap] = value * narrow * filter.cutoff;
        sum += kernels[phase * taps + tap];
      }
      for (let tap = 0; tap < taps; tap++) kernels[phase * taps + tap] /= sum;
    }
    const result = new Float32Array(Math.round(sound.length * to / from));
    for (let i = 0; i < result.length; i++) {
      const position = i * down;
      const first = Math.floor(position / up) - side;
      const kernel = (position % up) * taps;
      const last = Math.min(taps, sound.length - first);
      let sum = 0;
      for (let tap = Math.max(0, -first); tap < last; tap++) {
        sum += sound[first + tap] * kernels[kernel + tap];
      }
      result[i] = sum;
    }
    return result;
  }

  /** Channels at their own rate to the clip that Python's `load_clip` gives. */
  function clipOf(channels, rate, settings, seconds) {
    const mono = mix(channels, Math.ceil(seconds * rate));
    const wanted = Math.round(seconds * settings.sample_rate);
    const clip = resample(mono, rate, settings.sample_rate).slice(0, wanted);
    let sum = 0;
    for (const value of clip) sum += value;
    const mean = Math.fround(sum / clip.length);
    for (let i = 0; i < clip.length; i++) clip[i] -= mean;
    return clip;
  }

  // -- spectrogram -----------------------------------------------------------------------------------

  /** Fast Fourier transform in place; the length is a power of two. */
  function transform(real, imaginary) {
    const size = real.length;
    for (let i = 1, j = 0; i < size; i++) {
      let bit = size >> 1;
      for (; j & bit; bit >>= 1) j ^= bit;
      j ^= bit;
      if (i < j) {
        [real[i], real[j]] = [real[j], real[i]];
        [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
      }
    }
    for (let half = 1; half < size; half *= 2) {
      for (let k = 0; k < half; k++) {
        const turn = -Math.PI * k / half;
        const cos = Math.cos(turn);
        const sin = Math.sin(turn);
        for (let a = k; a < size; a += 2 * half) {
          const b = a + half;
          const x = real[b] * cos - imaginary[b] * sin;
          const y = real[b] * sin + imaginary[b] * cos;
          real[b] = real[a] - x;
          imaginary[b] = imaginary[a] - y;
          real[a] += x;
          imaginary[a] += y;
        }
      }
    }
  }

  /**
   * The picture of a clip, `height` bins by `width` frames, row by row, highest frequency first:
   * 1 is the loudest bin, 0 is `top_db` below it. As log_spectrogram and spectrogram_image.
   */
  function spectrogram(clip, settings) {
    const { n_fft: size, window_length: long, hop_length: hop, bins, top_db: range } = settings;
    const width = 1 + Math.floor(Math.max(0, clip.length - long) / hop);
    const window = Float64Array.from({ length: long }, (_, i) => 0.5 - 0.5 * Math.cos(2 * Math.PI * i / long));
    const power = new Float64Array(bins * width);
    let loudest = 0;
    const real = new Float64Array(size);
    const imaginary = new Float64Array(size);
    for (let frame = 0; frame < width; frame++) {
      real.fill(0);
      imaginary.fill(0);
      for (let i = 0; i < long; i++) real[i] = (clip[frame * hop + i] || 0) * window[i];
      transform(real, imaginary);
      for (let bin = 0; bin < bins; bin++) {
        const value = real[bin] ** 2 + imaginary[bin] ** 2;
        power[(bins - 1 - bin) * width + frame] = value;
        loudest = Math.max(loudest, value);
      }
    }
    const pixels = Float32Array.from(power, (value) => {
      const decibels = loudest > 0 && value > 0 ? 10 * Math.log10(value / loudest) : -range;
      return Math.min(0, Math.max(-range, decibels)) / range + 1;
    });
    return { pixels, width, height: bins, silent: loudest === 0 };
  }

  // -- the square that the network sees ----------------------------------------------------------------

  /** SHA-256 (FIPS 180-4) of a text, in hexadecimal; crypto.subtle is missing on plain http. */
  function sha256(text) {
    const fraction = (x) => ((x - Math.floor(x)) * 4294967296) | 0;
    const keys = [];
    const state = [];
    for (let n = 2; keys.length < 64; n++) {
      let prime = true;
      for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
      if (!prime) continue;
      if (state.length < 8) state.push(fraction(Math.sqrt(n)));
      keys.push(fraction(Math.cbrt(n)));
    }
    const content = new TextEncoder().encode(text);
    const bytes = new Uint8Array(Math.ceil((content.length + 9) / 64) * 64);
    bytes.set(content);
    bytes[content.length] = 0x80;
    const view = new DataView(bytes.buffer);
    view.setUint32(bytes.length - 4, content.length * 8);
    const turn = (x, n) => (x >>> n) | (x << (32 - n));
    for (let start = 0; start < bytes.length; start += 64) {
      const words = Array.from({ length: 16 }, (_, i) => view.getInt32(start + 4 * i));
      for (let i = 16; i < 64; i++) {
        const a = words[i - 15];
        const b = words[i - 2];
        const low = turn(a, 7) ^ turn(a, 18) ^ (a >>> 3);
        const high = turn(b, 17) ^ turn(b, 19) ^ (b >>> 10);
        words.push((words[i - 16] + low + words[i - 7] + high) | 0);
      }
      let [a, b, c, d, e, f, g, h] = state;
      for (let i = 0; i < 64; i++) {
        const one = (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g));
        const first = (h + one + keys[i] + words[i]) | 0;
        const second = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        [a, b, c, d, e, f, g, h] = [(first + second) | 0, a, b, c, (d + first) | 0, e, f, g];
      }
      [a, b, c, d, e, f, g, h].forEach((value, i) => (state[i] = (state[i] + value) | 0));
    }
    return state.map((value) => (value >>> 0).toString(16).padStart(8, "0")).join("");
  }

  /** The first `count` 32-bit numbers of a Mersenne Twister, as torch's generator gives them. */
  function twister(seed, count) {
    const state = new Uint32Array(624);
    state[0] = seed;
    for (let i = 1; i < 624; i++) {
      state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
    }
    return Array.from({ length: count }, (_, i) => { // fewer than 227, before it turns over
      const mixed = (state[i] & 0x80000000) | (state[i + 1] & 0x7fffffff);
      let y = state[i + 397] ^ (mixed >>> 1) ^ (mixed & 1 ? 0x9908b0df : 0);
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      return (y ^ (y >>> 18)) >>> 0;
    });
  }

  /** Where the square begins: it depends on the seed and on the file's name, as in Python. */
  function cropPlace(name, seed, rows, columns) {
    const low = parseInt(sha256(`${seed}:${name}`).slice(7, 15), 16);
    const [first, second] = twister(low, 2);
    return { top: first % rows, left: second % columns };
  }

  /** The `size` by `size` square of a picture, silence to the right of a short one. */
  function crop(picture, size, name, seed) {
    const rows = Math.max(1, picture.height - size + 1);
    const columns = Math.max(1, picture.width - size + 1);
    const { top, left } = cropPlace(name, seed, rows, columns);
    const pixels = new Float32Array(size * size);
    for (let y = 0; y < Math.min(size, picture.height); y++) {
      const start = (top + y) * picture.width + left;
      const row = picture.pixels.subarray(start, start + Math.min(size, picture.width));
      pixels.set(row, y * size);
    }
    return { pixels, top, left, size };
  }

  root.songtitle = Object.assign(root.songtitle || {}, {
    rateOf, mix, resample, clipOf, spectrogram, sha256, twister, crop,
  });
})(globalThis);
