// Where the page is built, and how: files with a hash in their names, so that browsers may keep them, and nothing inline,
// so that the server's content policy holds.
import { defineConfig } from "vite";

export default defineConfig({
  base: "/",
  build: {
    outDir: process.env.WINDROW_PAGE_OUT ?? "dist",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    reportCompressedSize: false,
  },
});
