//! A picture as PNG, drawn with the fonts of this machine.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{FontResolver, Group, Node, Options, Text, Tree};
use windrow_engine::error::{Error, ErrorKind};

use super::fonts::{self, Fonts, Missing};

/// Draws an SVG of ours, and tells the scripts that no font of this machine has: boxes stand for them.
pub(crate) fn png(svg: &str, fonts: &Fonts) -> Result<(Vec<u8>, Vec<Missing>), Error> {
    let tree = tree(svg, fonts).map_err(|error| cannot(&error))?;
    let size = tree.size().to_int_size();
    let mut pixmap = Pixmap::new(size.width(), size.height()).ok_or_else(|| cannot(&"it is too large"))?;
    resvg::render(&tree, Transform::identity(), &mut pixmap.as_mut());
    let bytes = pixmap.encode_png().map_err(|error| cannot(&error))?;
    Ok((bytes, fonts::missing(boxes(tree.root()).into_iter())))
}

/// Characters for which a box was drawn.
pub(super) fn boxes(group: &Group) -> Vec<char> {
    let of_text = |text: &Text| -> Vec<char> {
        let glyphs = text.layouted().iter().flat_map(|span| &span.positioned_glyphs);
        glyphs.filter(|glyph| glyph.id.0 == 0).flat_map(|glyph| glyph.text.chars()).collect()
    };
    let of_node = |node: &Node| match node {
        Node::Group(group) => boxes(group),
        Node::Text(text) => of_text(text),
        _ => Vec::new(),
    };
    group.children().iter().flat_map(of_node).collect()
}

/// What is drawn, with each text laid out: one font for words, and for what it does not have the font that was measured.
pub(super) fn tree(svg: &str, fonts: &Fonts) -> Result<Tree, resvg::usvg::Error> {
    let select_fallback = Box::new(|c: char, tried: &[_], _: &mut Arc<_>| fonts.face(c).filter(|face| !tried.contains(face)));
    let font_resolver = FontResolver { select_font: FontResolver::default_font_selector(), select_fallback };
    let options = Options { fontdb: Arc::clone(&fonts.database), font_resolver, ..Options::default() };
    Tree::from_str(svg, &options)
}

fn cannot(cause: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, "E-PLOT-DRAW", "the picture cannot be drawn")
        .cause(cause)
        .hint("take an .svg, which any browser shows; and tell us")
}
