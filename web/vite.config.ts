// Two builds: the script that a page loads, and with `--mode npm` the module of the package.
//
// Neither has a time, a path or a hash of the machine in it, so that the same sources make the same bytes.

import { defineConfig } from "vite";

export default defineConfig(({ mode }) => {
  const npm = mode === "npm";
  return {
    build: {
      target: "es2022",
      emptyOutDir: !npm,
      minify: true,
      lib: npm
        ? { entry: "src/index.ts", formats: ["es"], fileName: () => "tidings.mjs" }
        : { entry: "src/script.ts", formats: ["iife"], name: "tidingsScript", fileName: () => "tidings.js" },
    },
  };
});
