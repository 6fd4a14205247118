# One horizontal bar for each thread: its wall time, divided into what the thread did.
#
# Columns of the data, one row for each part of a bar: row, of the bar, from 1; begin and end, where
# in the bar the part is; account_number, from 1. Variables, besides those of common.gp:
#   rows           how many bars
#   label, wall    arrays: the names of the threads, and their wall times as text
#   label_width    characters of the longest label
#   account_name   array: what the accounts are called
#   account_shown  array: 1 for those that are in the picture
#   largest        value that the axis must hold
#   scale, unit    what to multiply values with, and what they are then
accounts = |account_name|
array colours[12] = [0x0072b2, 0xd55e00, 0xc9ced4, 0x8c6d1f, 0x009e73, 0x56b4e9, \
                     0xe69f00, 0xcc79a7, 0x5b4a9c, 0xa3adb8, 0x6b6b6b, 0xf1c7c2]
array letters[12] = ['█', 'r', 'z', 'f', 's', 'p', 'l', 'g', 'c', 'e', 'o', '?']

bar_left = is_text ? label_width + 12 : edge + 7.3*label_width + 10
bar_right = is_text ? width - 2 : width - 96
legend_at = body_top - (is_text ? 1 : 14)
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

# The legend: a mark in the colour of the account, or its letter, and the name behind it.
legend_x = edge
do for [i = 1:accounts] {
    if (account_shown[i]) {
        name = account_name[i]
        mark = is_text ? letters[i] : '■'
        mark_colour = colours[i]
        mark_tag = 20 + 2*i
        name_tag = mark_tag + 1
        set label mark_tag mark at screen across(legend_x),down(legend_at) left font ',14' \
            tc rgb mark_colour
        set label name_tag name at screen across(legend_x + (is_text ? 2 : 17)),down(legend_at) \
            left font ',11' tc rgb ink
        legend_x = legend_x + (is_text ? strlen(account_name[i]) + 4 \
                                       : 7.2*strlen(account_name[i]) + 34)
    }
}

row(_) = column('row')
colour(_) = colours[int(column('account_number'))]
blocks(n, block) = n < 1 ? '' : block.blocks(n - 1, block)
cell(name) = int(column(name)/largest*(bar_right - bar_left) + 0.5)
bar(_) = blocks(cell('end') - cell('begin'), letters[int(column('account_number'))])

if (is_text) {
    unset xtics
    unset y2tics
    plot data using (column('begin')*scale):(row(0)):(bar(0)) with labels left
} else {
    set format x '%g'.(unit eq '' ? '' : ' '.unit)
    set grid xtics lt 1 lw 1 lc rgb light back
    set style fill solid 1 noborder
    half = 0.36
    plot data using (column('begin')*scale):(row(0)):(column('begin')*scale): \
                    (column('end')*scale):(row(0) - half):(row(0) + half):(colour(0)) \
             with boxxyerror lc rgb variable
}
