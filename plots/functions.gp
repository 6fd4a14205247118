# Horizontal bars, one for each function or line: self with its 95 % interval, inclusive behind it.
#
# Columns of the data: self, inclusive, self_low and self_high (empty without an interval);
# is_special (1: not the program's own code, drawn in grey); shown (self as text); share (of the
# total, in per cent). Variables, besides those of common.gp:
#   rows         how many
#   label        array: what the rows are
#   legend       what the bars are
#   label_width  characters of the longest label
#   largest      value that the axis must hold
#   scale, unit  what to multiply values with, and what they are then
bar_left = is_text ? label_width + 23 : edge + 7.3*label_width + 10
bar_right = is_text ? width - 2 : width - 166
legend_at = body_top - (is_text ? 1 : 14)
set lmargin at screen across(bar_left)
set rmargin at screen across(bar_right)
set tmargin at screen down(body_top - (is_text ? 0.5 : 0))
set bmargin at screen down(body_bottom - (is_text ? 0.5 : 0))
set label 6 legend at screen across(edge),down(legend_at) left font ',11' tc rgb muted
if (!is_text) {
    set label 7 'self, share' at screen across(width - edge),down(legend_at) right \
        font ',11' tc rgb muted
}

set xrange [0:largest*scale]
set yrange [rows + 0.5:0.5]
set y2range [rows + 0.5:0.5]
set ytics scale 0

self_colour(special) = special > 0 ? 0x8a8a8a : 0x0072b2
inclusive_colour(special) = special > 0 ? 0xdedede : 0xb5d5ea
row(_) = column(0) + 1
label_of(_) = label[int(column(0)) + 1]
scaled(name) = column(name)*scale
# A figure space is as wide as a digit, so that the points stand below each other.
share(_) = (column('share') < 9.95 ? ' ' : '').sprintf('%.1f %%', column('share'))
numbers(_) = stringcolumn('shown').'   '.share(0)
text_label(_) = sprintf('%s %11s %7s', label_of(0), stringcolumn('shown'), \
                        sprintf('%.1f %%', column('share')))
# Nothing where the count is exact or has no interval.
interval_row(_) = column('self_low') < column('self_high') ? row(0) : NaN

blocks(n, block) = n < 1 ? '' : block.blocks(n - 1, block)
cells(name) = int(column(name)/largest*(bar_right - bar_left) + 0.5)
bar(_) = blocks(cells('self'), '█').blocks(cells('inclusive') - cells('self'), '░')

if (is_text) {
    unset xtics
    plot data using (0):(row(0)):(bar(0)):ytic(text_label(0)) with labels left
} else {
    set y2tics scale 0 right offset screen (width - edge - 9 - bar_right)/real(width),0 font ',12'
    set format x '%g'.(unit eq '' ? '' : ' '.unit)
    set xtics tic_step(largest*scale, (bar_right - bar_left)/90.0)
    set grid xtics lt 1 lw 1 lc rgb light back
    set style fill solid 1 noborder
    half = 0.36
    plot data using (0):(row(0)):(0):(scaled('inclusive')):(row(0) - half):(row(0) + half): \
                    (inclusive_colour(column('is_special'))) \
             with boxxyerror lc rgb variable, \
         data using (0):(row(0)):(0):(scaled('self')):(row(0) - half):(row(0) + half): \
                    (self_colour(column('is_special'))):ytic(label_of(0)): \
                    y2tic(numbers(0)) with boxxyerror lc rgb variable, \
         data using (scaled('self')):(interval_row(0)):(scaled('self_low')): \
                    (scaled('self_high')) \
             with xerrorbars pt 0 lw 1.6 lc rgb ink
}
