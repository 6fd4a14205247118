# Rates over time, one panel for each event, and under them what each thread did, a band for each.
#
# Columns of the data: panel, from 1; time_s, when the interval began that the row is about; rate,
# per second in it (empty: missing). An event's last row closes its last interval. Rows of panel 0
# are parts of bands: band, from 1; time_s to end_s; low to high, 0 to 1 of the band's height;
# account_number, from 1; is_longest, 1 for what is most of that time. Variables, besides those of
# common.gp and its legend:
#   bands, bands_title, label, label_width  how many; the words; array: the names of the threads;
#     characters of the longest
#   panels, duration   how many; the seconds that the time axis must hold
#   panel_title, panel_scale, panel_unit, panel_largest, panel_mean  arrays, one item a panel:
#     the words; what to multiply rates with, and what they are then; the largest rate; the mean
least_left = is_text ? 10 : edge + 62
label_room = bands ? (is_text ? label_width + 2 : edge + 7.3*label_width + 10) : 0
left = label_room > least_left ? label_room : least_left
right = is_text ? width - 13 : width - 110
panels_top = body_top + (bands ? (is_text ? 1 : 26) : 0)
bands_bottom = body_bottom - (is_text ? 2 : 24)
band_height = is_text ? 1 : 22
bands_top = bands_bottom - bands*band_height
panels_bottom = bands ? bands_top - (is_text ? 2 : 20) : body_bottom
share = (panels_bottom - panels_top + (is_text ? 1 : 20))/real(panels)
top_of(i) = panels_top + (i - 1)*share + (is_text ? 0 : 4)
bottom_of(i) = panels_top + i*share - (is_text ? 3 : 44)

set lmargin at screen across(left)
set rmargin at screen across(right)
set xrange [0:duration]
set style fill solid 1 noborder
rate(_) = column('rate')*panel_scale[panel]
moment(_) = column('panel') == panel ? column('time_s') : NaN
row(_) = column('panel') == 0 ? column('band') : NaN
colour(_) = column('panel') == 0 ? account_colour[int(column('account_number'))] : 0
low(_) = row(0) + 0.42 - 0.84*column('low')
high(_) = row(0) + 0.42 - 0.84*column('high')
cell(name) = int(column(name)/duration*(right - left) + 0.5)
bar(_) = column('panel') == 0 ? \
    blocks(cell('end_s') - cell('time_s'), account_letter[int(column('account_number'))]) : ''
bar_at(_) = cell('time_s')*duration/(right - left)
longest_row(_) = column('is_longest') == 1 ? row(0) : NaN
mean_text(i) = sprintf('mean %.3g%s%s', panel_mean[i]*panel_scale[i], is_text ? '' : ' ', \
                       panel_unit[i])

set multiplot
do for [panel = 1:panels] {
    set tmargin at screen down(top_of(panel))
    set bmargin at screen down(bottom_of(panel))
    set yrange [0:panel_largest[panel]*panel_scale[panel]]
    set label 6 panel_title[panel] at screen across(is_text ? 0 : edge), \
        down(top_of(panel) - (is_text ? 1 : 12)) left font ',12' tc rgb ink
    set format y '%g'.(panel_unit[panel] eq '' ? '' : ' '.panel_unit[panel])
    set format x (panel == panels && !bands ? '%g s' : '')
    mean = panel_mean[panel]*panel_scale[panel]
    set label 7 mean_text(panel) at graph 1.01, first mean left font ',11' tc rgb muted
    if (is_text) {
        plot data using (moment(0)):(rate(0)) with steps
    } else {
        set grid ytics lt 1 lw 1 lc rgb light back
        plot data using (moment(0)):(rate(0)) with fillsteps lc rgb 0xb5d5ea, \
             data using (moment(0)):(rate(0)) with steps lw 1.6 lc rgb 0x0072b2, \
             mean with lines lw 1 lc rgb muted dt (6,4)
    }
    do for [i = 1:60] { unset label i }
}
if (bands) {
    set tmargin at screen down(bands_top)
    set bmargin at screen down(bands_bottom)
    set label 6 bands_title at screen across(is_text ? 0 : edge), \
        down(bands_top - (is_text ? 1 : 12)) left font ',12' tc rgb ink
    set yrange [bands + 0.5:0.5]
    unset grid
    set ytics scale 0 () format '%g'
    do for [i = 1:bands] { set ytics add (label[i] i) }
    set format x '%g s'
    if (is_text) {
        set xtics scale 0
        plot data using (bar_at(0)):(longest_row(0)):(bar(0)) with labels left
    } else {
        plot data using (column('time_s')):(row(0)):(column('time_s')):(column('end_s')): \
                        (low(0)):(high(0)):(colour(0)) with boxxyerror lc rgb variable
    }
}
unset multiplot
