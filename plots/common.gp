# What all plots share: the kind of file, fonts, colours and the words around the picture.
#
# "tallystack plot" writes the variables, this file and the script of the plot, in this order, into
# one script; --keep leaves it. Variables that every plot gets:
#   format         svg, png, pdf or txt
#   picture, data  names of the file to draw and of the CSV file to draw from
#   width, height  of the picture: pixels (a png has twice as many), characters of txt
#   heading, subheading, footer_1, footer_2  the words
#   warning        in red; empty when nothing is wrong
# No text is ever interpreted: the terminals are set up with noenhanced.
reset
set encoding utf8
set datafile separator comma columnheaders
set datafile commentschars ''

is_text = format eq 'txt'
if (format eq 'svg') {
    set terminal svg size width,height noenhanced font 'DejaVu Sans,14' background '#ffffff'
}
if (format eq 'png') {
    set terminal pngcairo size 2*width,2*height noenhanced font 'DejaVu Sans,14' \
        fontscale 1.5 linewidth 2 pointscale 2 background '#ffffff'
}
if (format eq 'pdf') {
    set terminal pdfcairo size width/96.0,height/96.0 noenhanced font 'DejaVu Sans,14' \
        fontscale 0.57 linewidth 1.5 pointscale 0.7 background '#ffffff'
}
if (is_text) {
    set terminal dumb width,height mono noenhanced
}
set output picture

ink = 0x222222
muted = 0x666666
light = 0xe4e4e4
alarm = 0xb02318
# Okabe and Ito's colours, which everyone can tell apart, without the yellow.
array palette_of_series[7] = \
    [0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7, 0xe69f00, 0x56b4e9, 0x8c6d1f]
series_colour(i) = palette_of_series[int(i - 1) % 7 + 1]

# Places on the page, from its left and top: in pixels, or in characters of a text.
across(x) = is_text ? (x + 0.5)/width : x/real(width)
down(y) = is_text ? 1 - (y + 0.5)/height : 1 - y/real(height)
edge = is_text ? 0 : 18
body_top = is_text ? 4 : 100
body_bottom = is_text ? height - 3.5 : height - 92

set label 1 heading at screen across(edge),down(is_text ? 0 : 28) left font ',18' tc rgb ink
set label 2 subheading at screen across(edge),down(is_text ? 1 : 54) left font ',12' tc rgb muted
set label 3 warning at screen across(edge),down(is_text ? height - 3 : height - 49) left \
    font ',11' tc rgb alarm
set label 4 footer_1 at screen across(edge),down(is_text ? height - 2 : height - 30) left \
    font ',10' tc rgb muted
set label 5 footer_2 at screen across(edge),down(is_text ? height - 1 : height - 14) left \
    font ',10' tc rgb muted

set border 0
set tics nomirror out scale 0.5 font ',12' textcolor rgb ink
set key off

# A step of 1, 2 or 5 times a power of ten, for about so many tics from 0 to `largest`.
digits(x) = 10**floor(log10(x))
nice(x) = (x/digits(x) < 1.5 ? 1 : x/digits(x) < 3.5 ? 2 : x/digits(x) < 7.5 ? 5 : 10)*digits(x)
tic_step(largest, tics) = nice(largest/tics)

# What threads do, in the order of account_number. Plots of it have a legend: a mark in the colour of
# the account, or its letter, and the name behind it, from these variables:
#   accounts                     how many
#   account_name, account_shown  arrays: what they are called; 1 for those in the picture
array account_colour[12] = [0x0072b2, 0xd55e00, 0xc9ced4, 0x8c6d1f, 0x009e73, 0x56b4e9, \
                            0xe69f00, 0xcc79a7, 0x5b4a9c, 0xa3adb8, 0x6b6b6b, 0xf1c7c2]
array account_letter[12] = ['█', 'r', 'z', 'f', 's', 'p', 'l', 'g', 'c', 'e', 'o', '?']
if (exists('accounts')) {
    legend_at = body_top - (is_text ? 1 : 14)
    legend_x = edge
    do for [i = 1:accounts] {
        if (account_shown[i]) {
            name = account_name[i]
            mark = is_text ? account_letter[i] : '■'
            mark_colour = account_colour[i]
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
}
# A bar of characters.
blocks(n, block) = n < 1 ? '' : block.blocks(n - 1, block)
