"""Makes sample.mp4, the clip that `longview caption` describes when no file is named.

    make_sample.py BIKES.mp4 FOLDER

Three seconds of a still title with written text, then ten seconds of street, with spoken sentences
over both. espeak-ng speaks; FFmpeg draws and joins, on one thread so that every run gives the same.
"""

import subprocess
import sys
from pathlib import Path

TITLE = "MAIN STREET 10\\:45"   # a colon parts the options of a filter
SPEECH = "This is the main street of the old town. Two people ride their bicycles. " \
         "Please keep to the right side of the road."
TITLE_SECONDS = 3


def main(bikes, folder):
    speech = folder / "speech.wav"
    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "145", "-w", speech, SPEECH], check=True)
    picture = (
        f"color=c=white:s=640x272:r=25:d={TITLE_SECONDS},"
        f"drawtext=font='DejaVu Sans':text='{TITLE}':fontsize=56:fontcolor=black"
        ":x=(w-text_w)/2:y=(h-text_h)/2,format=yuv420p,setsar=1[title];"
        "[0:v]fps=25,setsar=1,format=yuv420p[street];[title][street]concat=n=2:v=1:a=0[v];"
        "[1:a]adelay=1000:all=1,apad,aresample=48000[a]")
    subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-i", bikes, "-i", speech,
                    "-filter_complex", picture, "-map", "[v]", "-map", "[a]",
                    "-t", str(TITLE_SECONDS + 10), "-c:v", "libx264", "-threads", "1", "-crf", "23",
                    "-c:a", "aac", "-b:a", "96k", "-ac", "1", "-fflags", "+bitexact",
                    "-flags", "+bitexact", "-movflags", "+faststart", folder / "sample.mp4"], check=True)
    speech.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
