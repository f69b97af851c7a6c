// The frame of every drawing: its title, the table that says the same, and the ways to take it along.
import type { ComponentChildren, VNode } from "preact";
import { render } from "preact";
import { useRef } from "preact/hooks";
import { asTable, choose } from "../place";
import { ink } from "../theme";
import { type Column, Table } from "./table";
import { useWidth } from "./parts";

export interface Twin {
  columns: Column[];
  rows: ComponentChildren[][];
}

interface Props {
  /** Of the files that are taken along. */
  file: string;
  title: string;
  note?: ComponentChildren;
  tools?: ComponentChildren;
  twin: Twin;
  csv?: string;
  /** What is taken along, where it is not the drawing on the screen. */
  picture?: (width: number) => VNode;
  children: (width: number) => ComponentChildren;
}

const PICTURE_WIDTH = 1_200;
/** Pixels of a PNG for one of the drawing. */
const SCALE = 2;

export function Figure({ file, title, note, tools, twin, csv, picture, children }: Props) {
  const [body, width] = useWidth<HTMLDivElement>();
  const holder = useRef<HTMLElement>(null);
  const taken = () => (picture ? drawnAside(picture(PICTURE_WIDTH)) : holder.current?.querySelector("svg"));
  return (
    <section class="figure" ref={holder} aria-label={title}>
      <header class="figure-head">
        <h2>{title}</h2>
        <div class="tools">
          {tools}
          <div class="choice" role="group" aria-label="Take along">
            <button type="button" aria-pressed={asTable.value} onClick={() => choose({ table: asTable.value ? null : 1 })}>
              Table
            </button>
            <button type="button" onClick={() => savePng(taken(), file)} disabled={asTable.value && !picture}>
              PNG
            </button>
            <button type="button" onClick={() => saveSvg(taken(), file)} disabled={asTable.value && !picture}>
              SVG
            </button>
            {csv && (
              <a class="button" href={csv} download={`${file}.csv`} data-export>
                CSV
              </a>
            )}
          </div>
        </div>
      </header>
      {note && <p class="figure-note">{note}</p>}
      <div ref={body} class="figure-body">
        {asTable.value ? (
          <Table name={title} columns={twin.columns} rows={twin.rows.map((cells, key) => ({ key, cells }))} />
        ) : (
          width > 0 && children(width)
        )}
      </div>
    </section>
  );
}

function drawnAside(node: VNode): SVGSVGElement | null {
  const aside = document.createElement("div");
  render(node, aside);
  return aside.querySelector("svg");
}

/** The drawing alone: on its own ground, without what only the page can do. */
function written(svg: SVGSVGElement): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  for (const link of [...copy.querySelectorAll("a")]) link.replaceWith(...link.childNodes);
  for (const loose of copy.querySelectorAll("[data-loose]")) loose.remove();
  for (const element of [copy, ...copy.querySelectorAll("*")]) {
    for (const name of ["class", "style", "tabindex", "role", "aria-label", "aria-hidden"]) element.removeAttribute(name);
  }
  const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  ground.setAttribute("width", "100%");
  ground.setAttribute("height", "100%");
  ground.setAttribute("fill", ink.value.surface);
  copy.prepend(ground);
  return new XMLSerializer().serializeToString(copy);
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function saveSvg(svg: SVGSVGElement | null | undefined, file: string): void {
  if (svg) save(new Blob([written(svg)], { type: "image/svg+xml" }), `${file}.svg`);
}

function savePng(svg: SVGSVGElement | null | undefined, file: string): void {
  if (!svg) return;
  const url = URL.createObjectURL(new Blob([written(svg)], { type: "image/svg+xml" }));
  const image = new Image();
  image.onload = () => {
    const canvas = document.createElement("canvas");
    canvas.width = Number(svg.getAttribute("width")) * SCALE;
    canvas.height = Number(svg.getAttribute("height")) * SCALE;
    canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
    URL.revokeObjectURL(url);
    canvas.toBlob((blob) => blob && save(blob, `${file}.png`));
  };
  image.src = url;
}
