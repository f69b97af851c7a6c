// The page is sent to every visitor: the build fails when it grows over its limit, all files packed with gzip.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const LIMIT = 300_000;
const dir = process.env.WINDROW_PAGE_OUT ?? "dist";
const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
const bytes = files.reduce((sum, file) => sum + gzipSync(readFileSync(join(file.parentPath, file.name))).length, 0);
console.log(`page: ${files.length} files, ${bytes} bytes packed, of ${LIMIT}`);
if (bytes > LIMIT) {
  console.error("page: over the limit");
  process.exit(1);
}
