# Several recordings side by side: for each event its total, and below that the top functions' self.
#
# Columns of the data: panel, from 1; series (0: the total); position, from 1; value, low and high
# (empty: missing; equal: no interval). Variables, besides those of common.gp:
#   panels, positions, series  how many; series without the total
#   series_name, position_name, position_width  the words, and how many characters the longest has
#   panel_title  array, one item a panel: the words
#   total_scale, total_unit, total_largest; self_scale, self_unit, self_largest  arrays, one item a
#     panel: what to multiply values with, and what they are then; what the axis must hold
left = is_text ? 10 : edge + 62
right = is_text ? width - 38 : width - 290
letter = is_text ? 1 : 7.5
is_tight = position_width*letter*1.1 > (right - left)/positions
foot = is_text ? 0 : is_tight ? position_width*letter*0.55 : 0
share = (body_bottom - foot - body_top + (is_text ? 1 : 20))/real(panels)
# Of each panel's share a third is the total's.
top_of(i) = body_top + (i - 1)*share + (is_text ? 0 : 8)
middle_of(i) = top_of(i) + share*0.3
bottom_of(i) = body_top + i*share - (is_text ? 3 : 40)

set lmargin at screen across(left)
set rmargin at screen across(right)
set xrange [0.7:positions + 0.3]
set xtics scale 0 font ',12'
if (is_tight && !is_text) { set xtics rotate by -35 left }
if (!is_text) { set grid ytics lt 1 lw 1 lc rgb light back }

at(i) = column('panel') == panel && column('series') == i ? column('position') : NaN
total(name) = column(name)*total_scale[panel]
self(name) = column(name)*self_scale[panel]
at_interval(i) = column('low') < column('high') ? at(i) : NaN
point(i) = is_text ? i : int((i - 1)/7) % 2 ? 9 : 7
with_unit(unit) = '%g'.(unit eq '' ? '' : ' '.unit)

set multiplot
do for [panel = 1:panels] {
    set tmargin at screen down(top_of(panel))
    set bmargin at screen down(middle_of(panel))
    set yrange [0:total_largest[panel]*total_scale[panel]]
    set label 6 panel_title[panel] at screen across(is_text ? 0 : edge), \
        down(top_of(panel) - (is_text ? 1 : 14)) left font ',12' tc rgb ink
    set label 7 'total' at screen across(right + (is_text ? 1 : 14)),down(top_of(panel) + \
        (is_text ? 1 : 10)) left font ',11' tc rgb ink
    set format y with_unit(total_unit[panel])
    set ytics tic_step(total_largest[panel]*total_scale[panel], 3.2)
    set xtics ('' 1)
    set key off
    plot data using (at(0)):(total('value')) with linespoints lw 2 pt 7 ps 0.6 lc rgb ink
    do for [i = 1:7] { unset label i }

    if (series > 0) {
        set tmargin at screen down(middle_of(panel) + (is_text ? 1 : 16))
        set bmargin at screen down(bottom_of(panel))
        set yrange [0:self_largest[panel]*self_scale[panel]]
        set format y with_unit(self_unit[panel])
        set ytics autofreq
        if (panel == 1) {
            set key at screen across(right + (is_text ? 1 : 10)), \
                down(middle_of(1) + (is_text ? 1 : 16)) left top vertical Left reverse \
                samplen (is_text ? 2 : 1.5) font ',11' textcolor rgb ink
        }
        set xtics (panel < panels ? '' : position_name[1] 1)
        do for [i = 2:positions] { set xtics add (panel < panels ? '' : position_name[i] i) }
        plot for [i = 1:series] data using (at(i)):(self('value')) with linespoints \
                 lw 1.6 pt point(i) ps 0.6 lc rgb series_colour(i) title series_name[i + 1], \
             for [i = 1:(is_text ? 0 : series)] data using (at_interval(i)):(self('low')):(0): \
                 (self('high') - self('low')) with vectors nohead lw 1.6 lc rgb series_colour(i) \
                 notitle
    }
}
unset multiplot
