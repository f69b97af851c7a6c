// The page of Windrow's server.
import { render } from "preact";
import "@preact/signals";
import { App } from "./app";
import { begin } from "./live";

const root = document.getElementById("app");
if (root) {
  begin();
  render(<App />, root);
}
