// Tables: rows that keys can walk, columns that sort where that makes sense.
import type { ComponentChildren } from "preact";

export interface Column {
  name: string;
  right?: boolean;
  /** Where given, the head is a button that sorts by this. */
  sort?: string;
  /** Whether it sorts from the smallest on. */
  rises?: boolean;
  class?: string;
}

export interface Row {
  key: string | number;
  cells: ComponentChildren[];
  /** Below the row, over its whole width. */
  below?: ComponentChildren;
}

interface Props {
  name: string;
  columns: Column[];
  rows: Row[];
  sorted?: string;
  onSort?: (by: string) => void;
}

export function Table({ name, columns, rows, sorted, onSort }: Props) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={name}>
      <table>
        <thead>
          <tr>
            {columns.map((column, index) => (
              <Head key={index} column={column} sorted={sorted} onSort={onSort} />
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => [
            <tr key={row.key} data-row>
              {row.cells.map((cell, index) => (
                <td key={index} class={[columns[index]?.right && "right", columns[index]?.class].filter(Boolean).join(" ")}>
                  {cell}
                </td>
              ))}
            </tr>,
            row.below && (
              <tr key={`${row.key}-below`} class="below">
                <td colSpan={columns.length}>{row.below}</td>
              </tr>
            ),
          ])}
        </tbody>
      </table>
    </div>
  );
}

interface HeadProps {
  column: Column;
  sorted: string | undefined;
  onSort: ((by: string) => void) | undefined;
}

function Head({ column, sorted, onSort }: HeadProps) {
  const by = column.sort;
  const is = by !== undefined && by === sorted;
  const name = [column.right && "right", column.class].filter(Boolean).join(" ");
  if (by === undefined || !onSort) {
    return (
      <th scope="col" class={name}>
        {column.name}
      </th>
    );
  }
  return (
    <th scope="col" class={name} aria-sort={!is ? "none" : column.rises ? "ascending" : "descending"}>
      <button type="button" class="sort" onClick={() => onSort(by)}>
        {column.name}
        <span aria-hidden="true">{!is ? "" : column.rises ? "\u00a0▴" : "\u00a0▾"}</span>
      </button>
    </th>
  );
}
