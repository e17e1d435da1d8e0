//! PNG from the same SVG.

use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb::Database};

use super::{Figure, FigureError};

/// The font of every PNG: DejaVu Sans, cut down to what figures use (`fonts/README.md`).
static FONT: &[u8] = include_bytes!("../../fonts/DejaVuSans-subset.ttf");

/// The longest side of a PNG, in pixels.
pub(super) const MAX_SIDE: u32 = 16_384;

static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    fonts.load_font_data(FONT.to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    Arc::new(fonts)
});

impl Figure {
    /// Renders the figure as PNG, `scale` pixels to a pixel of the SVG: 2 for a screen, 4 for print.
    ///
    /// # Errors
    /// When the scale is not positive or the picture would exceed 16,384 pixels a side, or the SVG is not one of ours.
    pub fn to_png(&self, scale: f32) -> Result<Vec<u8>, FigureError> {
        let options = Options { fontdb: Arc::clone(&FONTS), ..Options::default() };
        let render = |error: &dyn std::fmt::Display| FigureError::Render(error.to_string());
        let tree = Tree::from_str(&self.svg, &options).map_err(|error| render(&error))?;
        let side = |length: f32| {
            let pixels = (length * scale).ceil();
            (pixels >= 1.0 && pixels <= MAX_SIDE as f32).then_some(pixels as u32).ok_or(FigureError::Scale { scale })
        };
        let (width, height) = (side(tree.size().width())?, side(tree.size().height())?);
        let mut picture = Pixmap::new(width, height).ok_or(FigureError::Scale { scale })?;
        resvg::render(&tree, Transform::from_scale(scale, scale), &mut picture.as_mut());
        picture.encode_png().map_err(|error| render(&error))
    }
}
