# Several recordings side by side: the total and the top functions' self, one panel for each event.
#
# Columns of the data: panel, from 1; series (0: the total); position, from 1; value, low and high
# (empty: missing; equal: no interval). Variables, besides those of common.gp:
#   panels, positions, series  how many; series without the total
#   series_name, position_name, position_width  the words, and how many characters the longest has
#   panel_title, panel_scale, panel_unit, panel_largest  arrays, one item a panel: the words; what to
#     multiply values with, and what they are then; the value that the axis must hold
left = is_text ? 10 : edge + 62
right = is_text ? width - 38 : width - 262
letter = is_text ? 1 : 7.5
is_tight = position_width*letter*1.1 > (right - left)/positions
bottom_room = is_text || !is_tight ? 0 : position_width*letter*0.55
share = (body_bottom - bottom_room - body_top + (is_text ? 3 : 20))/real(panels)
top_of(i) = body_top + (i - 1)*share + (is_text ? 0 : 4)
bottom_of(i) = body_top + i*share - (is_text ? 3 : 44)

set lmargin at screen across(left)
set rmargin at screen across(right)
set xrange [0.7:positions + 0.3]
set offsets 0, 0, 0, 0
unset xtics
set xtics scale 0 font ',12'
if (is_tight && !is_text) { set xtics rotate by -35 left }
do for [i = 1:positions] { set xtics add (position_name[i] i) }

at(i) = column('panel') == panel && column('series') == i ? column('position') : NaN
scaled(name) = column(name)*panel_scale[panel]
at_interval(i) = column('low') < column('high') ? at(i) : NaN
colour(i) = i == 0 ? ink : series_colour(i)
point(i) = i == 0 ? 7 : int((i - 1)/7) % 2 ? 6 : 7

set multiplot
do for [panel = 1:panels] {
    set tmargin at screen down(top_of(panel))
    set bmargin at screen down(bottom_of(panel))
    set yrange [0:panel_largest[panel]*panel_scale[panel]]
    set label 6 panel_title[panel] at screen across(is_text ? 0 : edge), \
        down(top_of(panel) - (is_text ? 1 : 12)) left font ',12' tc rgb ink
    set format y '%g'.(panel_unit[panel] eq '' ? '' : ' '.panel_unit[panel])
    if (panel < panels) { set format x '' } else { set format x '%g' }
    if (panel == 1) {
        set key at screen across(right + (is_text ? 1 : 14)),down(top_of(1)) left top vertical \
            Left reverse samplen (is_text ? 2 : 1.5) font ',11' textcolor rgb ink
    } else {
        set key off
    }
    if (is_text) {
        plot for [i = 0:series] data using (at(i)):(scaled('value')) \
             with linespoints title series_name[i + 1]
    } else {
        set grid ytics lt 1 lw 1 lc rgb light back
        plot for [i = 0:series] data using (at(i)):(scaled('value')) with linespoints \
                 lw (i == 0 ? 2.4 : 1.6) pt point(i) ps 0.7 lc rgb colour(i) \
                 title series_name[i + 1], \
             for [i = 1:series] data using (at_interval(i)):(scaled('value')):(scaled('low')): \
                 (scaled('high')) with yerrorbars pt 0 lw 1.2 lc rgb colour(i) notitle
    }
    do for [i = 1:5] { unset label i }
}
unset multiplot
