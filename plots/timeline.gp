# Rates over time, one panel for each event.
#
# Columns of the data: panel, from 1; time_s, when the interval began that the row is about; rate,
# per second in it (empty: missing). An event's last row closes its last interval. Variables,
# besides those of common.gp:
#   panels, duration   how many; the seconds that the time axis must hold
#   panel_title, panel_scale, panel_unit, panel_largest, panel_mean  arrays, one item a panel:
#     the words; what to multiply rates with, and what they are then; the largest rate; the mean
left = is_text ? 10 : edge + 62
right = is_text ? width - 13 : width - 110
share = (body_bottom - body_top + (is_text ? 1 : 20))/real(panels)
top_of(i) = body_top + (i - 1)*share + (is_text ? 0 : 4)
bottom_of(i) = body_top + i*share - (is_text ? 3 : 44)

set lmargin at screen across(left)
set rmargin at screen across(right)
set xrange [0:duration]
set style fill solid 1 noborder
rate(_) = column('rate')*panel_scale[panel]
moment(_) = column('panel') == panel ? column('time_s') : NaN
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
    set format x (panel == panels ? '%g s' : '')
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
    do for [i = 1:5] { unset label i }
}
unset multiplot
