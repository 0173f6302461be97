// What sapo_viz/figures/packed.py packed: the header with `arrays` in place of where they lay.
/** @type {(data: Packed) => any} */
export function unpackArrays(data) {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const text = new TextDecoder().decode(bytes.subarray(4, 4 + length));
  const header = JSON.parse(text);
  /** @type {Record<string, any>} */
  const kinds = {
    uint8: Uint8Array,
    uint16: Uint16Array,
    uint32: Uint32Array,
    int32: Int32Array,
    float32: Float32Array,
    float64: Float64Array,
  };
  const begin = bytes.byteOffset + 4 + length;
  for (const [name, [kind, at, count]] of Object.entries(header.arrays)) {
    const Kind = kinds[kind];
    // A copy: the bytes may begin anywhere, an array only at a multiple of its size.
    header.arrays[name] = new Kind(bytes.buffer.slice(begin + at, begin + at + count * Kind.BYTES_PER_ELEMENT));
  }
  return header;
}

// Data that Python sent as bytes of JSON (sapo_viz/ui/pack.py says why).
/** @type {(data: BufferSource) => any} */
export function unpack(data) {
  return JSON.parse(new TextDecoder().decode(data));
}
