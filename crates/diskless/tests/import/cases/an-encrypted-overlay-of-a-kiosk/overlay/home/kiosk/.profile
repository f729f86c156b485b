exec startx
