// Zip archives, as far as shared telemetry needs them: written without compression, read with or without it.

import { utf8 } from "./batch.ts";

/** The largest archive that is read. */
const ARCHIVE_BYTES_MAX = 64 * 1024 * 1024;
/** The largest file in it, inflated: no relay takes a larger batch. */
const FILE_BYTES_MAX = 5 * 1024 * 1024;

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
/** Names are UTF-8. */
const UTF8 = 0x0800;
/** 1980-01-01, the first day of zip: the same content makes the same archive. */
const DATE = 0x21;

/** Files by their names. */
export type Files = Map<string, Uint8Array<ArrayBuffer>>;

/** Returns the archive of some files. */
export function zip(files: Files): Blob {
  const parts: BlobPart[] = [];
  const directory: BlobPart[] = [];
  let at = 0;
  let length = 0;
  for (const [name, content] of files) {
    const path = utf8(name);
    // What the local and the central header have in common.
    const common = [20, UTF8, 0, 0, DATE];
    const sizes = [crc32(content), content.length, content.length];
    const local = header(LOCAL, common, sizes, [path.length, 0]);
    const central = header(CENTRAL, [20, ...common], sizes, [path.length, 0, 0, 0, 0], [0, at]);
    parts.push(local, path, content);
    directory.push(central, path);
    at += local.length + path.length + content.length;
    length += central.length + path.length;
  }
  const end = header(END, [0, 0, files.size, files.size], [length, at], [0]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

/** Lays a header out: its signature, then fields of two bytes, of four, of two, of four. */
function header(signature: number, ...groups: number[][]): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  [[], [signature], ...groups].forEach((group, place) => {
    for (const value of group) {
      for (let shift = 0; shift < (place % 2 ? 32 : 16); shift += 8) {
        bytes.push((value >>> shift) & 0xff);
      }
    }
  });
  return new Uint8Array(bytes);
}

/** Returns the files of an archive. Fails where it is none, is too large, or uses what is not read here. */
export async function unzip(archive: Blob): Promise<Files> {
  if (archive.size > ARCHIVE_BYTES_MAX) {
    throw new Error("the file is too large: at most 64 MB are read");
  }
  const bytes = new Uint8Array(await archive.arrayBuffer());
  const view = new DataView(bytes.buffer);
  try {
    let end = bytes.length - 22;
    while (view.getUint32(end, true) !== END) {
      end--;
    }
    const files: Files = new Map();
    let at = view.getUint32(end + 16, true);
    for (let left = view.getUint16(end + 10, true); left; left--) {
      const [method, size] = [view.getUint16(at + 10, true), view.getUint32(at + 20, true)];
      const [name, extra, comment] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true)) as [number, number, number];
      const local = view.getUint32(at + 42, true);
      // The local header has lengths of its own.
      const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
      const content = bytes.subarray(start, start + size);
      if (view.getUint32(at, true) !== CENTRAL || content.length !== size || (method && method !== 8)) {
        throw new RangeError();
      }
      files.set(
        new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + name)),
        method ? await through(content, new DecompressionStream("deflate-raw")) : content,
      );
      at += 46 + name + extra + comment;
    }
    return files;
  } catch (error) {
    throw error instanceof RangeError ? new Error("the file is not a zip archive, or it is damaged") : error;
  }
}

/** Returns bytes compressed as gzip. */
export async function gzip(text: string): Promise<Uint8Array<ArrayBuffer>> {
  return through(utf8(text), new CompressionStream("gzip"));
}

/** Returns the text of bytes compressed as gzip. */
export async function gunzip(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new TextDecoder().decode(await through(bytes, new DecompressionStream("gzip")));
}

/** Returns what comes out of a stream; not more of it than a file may have. */
async function through(
  bytes: Uint8Array<ArrayBuffer>,
  transform: CompressionStream | DecompressionStream,
): Promise<Uint8Array<ArrayBuffer>> {
  const reader = new Blob([bytes]).stream().pipeThrough(transform).getReader();
  const chunks: BlobPart[] = [];
  for (let length = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) {
      return new Uint8Array(await new Blob(chunks).arrayBuffer());
    }
    length += value.length;
    if (length > FILE_BYTES_MAX) {
      await reader.cancel();
      throw new Error("a part of the file is too large: at most 5 MB are read");
    }
    chunks.push(value as Uint8Array<ArrayBuffer>);
  }
}

function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) {
      crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
  }
  return ~crc >>> 0;
}
