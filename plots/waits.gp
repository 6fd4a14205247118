# One horizontal bar for each thread: its wall time, divided into what the thread did.
#
# Columns of the data, one row for each part of a bar: row, of the bar, from 1; begin and end, where
# in the bar the part is; account_number, from 1. Variables, besides those of common.gp
# and its legend:
#   rows           how many bars
#   label, wall    arrays: the names of the threads, and their wall times as text
#   label_width    characters of the longest label
#   largest        value that the axis must hold
#   scale, unit    what to multiply values with, and what they are then
bar_left = is_text ? label_width + 12 : edge + 7.3*label_width + 10
bar_right = is_text ? width - 2 : width - 96
set lmargin at screen across(bar_left)
set rmargin at screen across(bar_right)
set tmargin at screen down(body_top + (is_text ? 0.5 : 14))
set bmargin at screen down(body_bottom - (is_text ? 0.5 : 0))
set xrange [0:largest*scale]
set yrange [rows + 0.5:0.5]
set y2range [rows + 0.5:0.5]
set ytics scale 0 ()
set y2tics scale 0 ()
do for [i = 1:rows] {
    left_text = is_text ? sprintf('%s %9s', label[i], wall[i]) : label[i]
    right_text = wall[i]
    set ytics add (left_text i)
    set y2tics add (right_text i)
}

row(_) = column('row')
colour(_) = account_colour[int(column('account_number'))]
cell(name) = int(column(name)/largest*(bar_right - bar_left) + 0.5)
bar_at(_) = cell('begin')*largest*scale/(bar_right - bar_left)
bar(_) = blocks(cell('end') - cell('begin'), account_letter[int(column('account_number'))])

if (is_text) {
    unset xtics
    unset y2tics
    plot data using (bar_at(0)):(row(0)):(bar(0)) with labels left
} else {
    set format x '%g'.(unit eq '' ? '' : ' '.unit)
    set xtics tic_step(largest*scale, (bar_right - bar_left)/90.0)
    set grid xtics lt 1 lw 1 lc rgb light back
    set style fill solid 1 noborder
    half = 0.36
    plot data using (column('begin')*scale):(row(0)):(column('begin')*scale): \
                    (column('end')*scale):(row(0) - half):(row(0) + half):(colour(0)) \
             with boxxyerror lc rgb variable
}
